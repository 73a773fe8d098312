"""The regression gate: base and head side by side in one job, in pairs, against a control. docs/gate.md has the method."""
