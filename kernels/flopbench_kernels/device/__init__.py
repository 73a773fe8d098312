"""The devices that the block-cyclic LU can run on: one contract, `contract.Device`; the processor's is `cpu.CpuDevice`."""
