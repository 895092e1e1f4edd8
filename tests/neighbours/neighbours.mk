# make storm-neighbours   four good workers beside bad neighbours of every kind at once: no call of theirs
#                         may fail or be late, nor the daemon take more memory than it said; 90 s
#   SECONDS=600 QUIET_S=20        how long
#   KINDS='frames readers'        only the kinds whose names contain one of these words
#   TIMES=no                      do not judge the p99, and let 1 call in 200 miss its deadline: for
#                                 machines with other work
STORM_WORKER := $(TB)/neighbours/storm_worker
$(STORM_WORKER): $(TB)/obj/neighbours/storm_worker.o $(TB)/obj/neighbours/histogram.o $(CLIENT_A) $(PROTO_A)
	@mkdir -p $(@D)
	$(call say,LD)
	$(Q)$(CC) $(FC_LDFLAGS) -pie -o $@ $^ -lxxhash

.PHONY: storm-neighbours
storm-neighbours: $(DAEMON) $(STORM_WORKER)
	@$(if $(SECONDS),SECONDS='$(SECONDS)') $(if $(QUIET_S),QUIET_S='$(QUIET_S)') $(if $(KINDS),KINDS='$(KINDS)') \
	  $(if $(TIMES),TIMES='$(TIMES)') $(PYTHON) -B tests/neighbours/storm.py $(DAEMON) $(STORM_WORKER)
