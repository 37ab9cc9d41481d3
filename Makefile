# For hands that type make; the launcher is ./run.
.PHONY: demo test
demo test:
	@./run $@
