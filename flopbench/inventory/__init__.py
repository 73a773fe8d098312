"""The inventory: organisations, machines, and the Rmax that was measured on them.

    model       what is kept, as plain dataclasses; no database
    schema      the same as tables; `migrations` brings a file of any age up to date
    store       one database: SQLite file or PostgreSQL URL; entities and facts in, rows out
    checks      what a Result must survive before it is filed;  submit, pending   file it, or keep it for later
    hpl_log     the output of somebody else's HPL as a foreign record
    exchange/   files in and out: national form, TOP500 and Green500 lists, sector tables; CSV, XLSX, XML
    audit/      recompute what can be recomputed, a finding per doubt; never changes data
    summary     sums and rankings;  page   one HTML file of them

Nothing is ever overwritten: a correction is a new row with its reason, and triggers in the database refuse updates and deletes.
"""
