# make demo             four worker processes share one daemon's results
# make demo-fleet       three daemons with four worker processes each share them through one Valkey or Redis
#   TIER_SERVER=PROGRAM the server (valkey-server or redis-server of the PATH)
#   DEMO_TEXT="a b"     files that the model reads instead of the system's licence texts

$(B)/demo: $(call obj,$(wildcard client/examples/*.c)) $(LIBA)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -lxxhash -lm

.PHONY: demo
demo: $(DAEMON) $(CTL) $(B)/demo
	@client/examples/demo.sh $(B)

.PHONY: demo-fleet
demo-fleet: $(DAEMON) $(CTL) $(B)/demo
	@client/examples/demo_fleet.sh $(B)
