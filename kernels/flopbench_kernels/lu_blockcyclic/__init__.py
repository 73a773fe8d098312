"""The distributed LU: right-looking, partial pivoting, two-dimensional block-cyclic. Written once over a comm and a device.

Bottom to top: `grid` who has what; `layout` the local matrix; `panel_plan`, `panel_steps`, `panel` the factorisation of one block
column; `pivots` from pivots to row moves; `broadcast` and `row_exchange` the communication; `update` the rest of the matrix;
`factorise` the main loop with look-ahead; `solve` the backward substitution; `kernel` the class that the harness knows.
"""
