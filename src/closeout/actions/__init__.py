"""Actions: typed capabilities with inputs, permissions, plan, apply and verify. One action, one file."""
