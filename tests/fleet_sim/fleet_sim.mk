# make fleet-sim        simulate fleets of 10 to 10,000 nodes on the real code, and print tables
#   SIM="--nodes 100 --seed 2"   other arguments: build/tests/fleet_sim/fleet_sim --help
SIM_HELP := $(filter-out %/sim_main.c %/test_fleet_sim.c,$(wildcard tests/fleet_sim/*.c))
FLEET_SIM := $(TB)/fleet_sim/fleet_sim
FLEET_SIM_TEST := $(TB)/fleet_sim/test_fleet_sim
# Each node has a store. A catalog of the usual size reserves 256 GiB of addresses.
SIM_CATALOG := $(TB)/obj/fleet_sim/catalog.o
$(SIM_CATALOG): daemon/region/catalog.c | $(DEPS_OK)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) -DCATALOG_CHUNKS_MAX=1024u $(FC_CFLAGS) $(HARDEN) -c -o $@ $<
$(FLEET_SIM): $(TB)/obj/fleet_sim/sim_main.o
$(FLEET_SIM_TEST): $(TB)/obj/fleet_sim/test_fleet_sim.o
$(FLEET_SIM) $(FLEET_SIM_TEST): $(SIM_HELP:tests/%.c=$(TB)/obj/%.o) $(SIM_CATALOG) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)

.PHONY: fleet-sim
fleet-sim: $(FLEET_SIM)
	@$(FLEET_SIM) $(SIM)
tests: $(if $(ONLY),,$(FLEET_SIM)) $(call picked,$(FLEET_SIM_TEST))
