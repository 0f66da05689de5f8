"""The built-in modules, on pandas and scikit-learn, and how to make their adapters."""
