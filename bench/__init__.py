"""The performance suite: the product beside the plainest loop that could do the same work, on the same servers.

`./run bench` prints one row for each target: what the plain loop (the *floor*) reached, what we reached, and the ratio.
Only ratios of one run mean anything: a machine's speed drifts, and others may be at work on it. So floor and product
run in turn, A B A B, the ratio is the median of the pairs, and each row says what else the machine was doing.
"""
