"""Files in and out. `grid` reads any sheet as text cells; a form (`national`, `top500`, `sectors`, `top500_xml`) says what its columns mean.

A reader never corrects a figure: what it had to repair (a split field, a heading over two rows, an encoding) is said row by row, what it cannot
read is named and left out only with --keep-going.
"""
