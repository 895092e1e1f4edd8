# make fleet-consistency  three daemons, one Valkey or Redis, six workers and faults, for $SECONDS (300): what the
#                         workers saw is checked. SEED=N repeats the faults of a run, BOUND_MS=N (2500) is how late a
#                         value from before a clear may be seen on another node
FLEET_CONSISTENCY := $(TB)/fleet_consistency/fleet_consistency
FLEET_CONSISTENCY_HELP := $(addprefix $(TB)/obj/fleet_consistency/,consistency.o consistency_worker.o history.o)
$(FLEET_CONSISTENCY): $(TB)/obj/fleet_consistency/consistency_main.o $(FLEET_CONSISTENCY_HELP) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
.PHONY: fleet-consistency
fleet-consistency: all $(FLEET_CONSISTENCY)
	@$(TEST_ENV) CK_VERBOSITY=verbose $(FLEET_CONSISTENCY)

# A short run is a test, and the checker has its own.
$(TB)/system/fleet/test_fleet_consistency: $(FLEET_CONSISTENCY_HELP)
$(TB)/system/fleet/test_fleet_history: $(TB)/obj/fleet_consistency/history.o
