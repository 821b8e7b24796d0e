"""What people look at: figures, the model card, the report, notebooks."""
