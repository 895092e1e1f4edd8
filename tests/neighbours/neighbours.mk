# make storm-neighbours   four good workers beside bad clients of every kind at the same time. It fails if a call of a
#                         good worker fails or is late, or if the daemon exceeds its bound of memory.
#   SECONDS=600 QUIET_S=20        the durations with and without bad clients (90 s in all)
#   KINDS='frames readers'        only the kinds whose names contain one of these words
#   TIMES=no                      ignore the p99, and miss the fourfold deadline once for each worker at most: for slow
#                                 machines and machines with other work
STORM_WORKER := $(TB)/neighbours/storm_worker
$(STORM_WORKER): $(TB)/obj/neighbours/storm_worker.o $(CLIENT_A) $(PROTO_A)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -lxxhash

.PHONY: storm-neighbours
storm-neighbours: $(DAEMON) $(STORM_WORKER)
	@$(if $(SECONDS),SECONDS='$(SECONDS)') $(if $(QUIET_S),QUIET_S='$(QUIET_S)') $(if $(KINDS),KINDS='$(KINDS)') \
	  $(if $(TIMES),TIMES='$(TIMES)') $(PYTHON) -B tests/neighbours/storm.py $(DAEMON) $(STORM_WORKER)
