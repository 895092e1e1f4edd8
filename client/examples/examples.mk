# make demo             four worker processes share one daemon's results
#   DEMO_TEXT="a b"     files that the model reads instead of the system's licence texts

$(B)/demo: $(call obj,$(wildcard client/examples/*.c)) $(LIBA)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -lxxhash -lm

.PHONY: demo
demo: $(DAEMON) $(CTL) $(B)/demo
	@client/examples/demo.sh $(B)
