"""The measures of the Evaluator: fidelity, utility, privacy."""
