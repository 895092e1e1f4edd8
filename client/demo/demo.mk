# make demo             four worker processes share one daemon's results
#   DEMO_TEXT="a b"     files to learn from instead of the licence texts; the last one is what `ft`
#                       is adapted on

DEMO_SRC := $(filter-out client/demo/main.c client/demo/worker.c,$(wildcard client/demo/*.c))
DEMO_A := $(B)/libdemo.a

$(DEMO_A): $(call obj,$(DEMO_SRC))
	@rm -f $@
	$(call say,AR)
	$(Q)$(AR) rcs $@ $^
$(B)/demo $(B)/demo-worker: $(B)/%: $(DEMO_A) $(LIBA)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $(filter %.o,$^) $(DEMO_A) $(LIBA) -lxxhash -lm
$(B)/demo: $(call obj,client/demo/main.c)
$(B)/demo-worker: $(call obj,client/demo/worker.c)

.PHONY: demo
demo: $(DAEMON) $(CTL) $(B)/demo $(B)/demo-worker
	@$(B)/demo

# The test of the model links it; the archive of the tests comes from tests.mk.
$(B)/tests/unit/demo/test_demo_model: $(DEMO_A)
