# make soak             run workers for 30 minutes, kill the daemon every minute, and check that nothing grows
#   MINUTES=2           the duration
#   KILL_S=10           seconds from kill to kill
SOAK := $(TB)/soak/soak
$(SOAK): $(TB)/obj/soak/soak.o $(TB)/obj/soak/soak_sample.o $(CRASH_HELP:tests/%.c=$(TB)/obj/%.o) $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
.PHONY: soak
soak: all $(SOAK)
	@$(TEST_ENV) CK_VERBOSITY=verbose SOAK_S=$$(($(or $(MINUTES),30) * 60)) SOAK_KILL_S=$(or $(KILL_S),60) $(SOAK)
