"""Files in and out. `grid` and `top500_xml` read any sheet as text cells, `columns` says what they mean, `systems` and `sectors` read rows.

A reader never corrects a figure. What it had to repair (a split field, a heading over two rows, an encoding) is said row by row;
what it cannot read is named, and left out only with --keep-going.
"""
