"""Playbooks: stages and gates in a file, run one after the other, with each decision and its reason kept."""
