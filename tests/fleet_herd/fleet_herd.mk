# make fleet-herd       16 daemons with 8 workers each share 2,000 keys through one Valkey or Redis, beside the same
#                       workers that use the server itself, and with kills
FLEET_HERD := $(TB)/fleet_herd/fleet_herd
FLEET_HERD_HELP := $(addprefix $(TB)/obj/fleet_herd/,fleet_herd.o herd_worker.o)
$(FLEET_HERD): $(addprefix $(TB)/obj/fleet_herd/,fleet_herd_main.o herd_server.o) $(FLEET_HERD_HELP) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
.PHONY: fleet-herd
fleet-herd: all $(FLEET_HERD)
	@$(TEST_ENV) CK_VERBOSITY=verbose $(FLEET_HERD)

# The small herd is a test.
$(TB)/system/fleet/test_fleet_herd: $(FLEET_HERD_HELP)
