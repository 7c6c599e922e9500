"""Multi-task fine-tuning on the Hugging Face Trainer."""
