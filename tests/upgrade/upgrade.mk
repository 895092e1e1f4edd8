# make check-upgrade    today's daemon and that of the commit in tests/upgrade/previous start from each other's memory
#                       and files, and serve each other's clients
UPGRADE_TEST := $(TB)/upgrade/test_upgrade
# Today's daemon whose memory has another layout, so that this case is tested while both versions have the same.
UPGRADE_OTHER := $(B)/upgrade/fcached-other
$(B)/upgrade/obj/%.o: CPPFLAGS += -DCATALOG_LAYOUT=1000000u
$(B)/upgrade/obj/%.o: %.c | $(DEPS_OK)
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CPPFLAGS) $(FC_CFLAGS) $(HARDEN) -c -o $@ $<
$(UPGRADE_OTHER): $(call obj,daemon/main.c) $(B)/upgrade/obj/daemon/region/catalog.o $(DAEMON_A) $(PROTO_A)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $^ $(DAEMON_LIBS)
$(UPGRADE_TEST): $(TB)/obj/upgrade/test_upgrade.o $(TEST_ARCHIVES)
	@mkdir -p $(@D)
	$(call say,LD)
	$(test_link)
.PHONY: check-upgrade
check-upgrade: all $(UPGRADE_TEST) $(UPGRADE_OTHER)
	@$(TEST_ENV) CC='$(CC)' tests/upgrade/run.sh
