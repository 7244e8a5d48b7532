# SPDX-License-Identifier: Apache-2.0
# One Makefile, no recursion; everything is built below build/. V=1 shows commands.

B := build
CC := gcc
CLANG := clang
BPFTOOL := $(shell command -v bpftool || echo /usr/sbin/bpftool)
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-7s %s\n' $(1) $(2))

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef -Wformat=2 \
	-Wno-format-nonliteral
WERROR :=
OPT := -O2 -g -D_FORTIFY_SOURCE=2
HARDEN := -fstack-protector-strong -fPIE -Wl,-z,relro,-z,now -pie
SAN :=
PKGS := libseccomp libcap libnl-3.0 libnl-route-3.0 libcjson libbpf libsystemd libcrypto
PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS = $(shell pkg-config --libs $(PKGS)) -lm
CPPFLAGS := -D_GNU_SOURCE -I.
CFLAGS = -std=gnu11 $(OPT) $(WARN) $(WERROR) $(SAN) -fstack-protector-strong -fPIE -pthread

SANDBOX := $(wildcard sandbox/*.c sandbox/base/*.c)
SUPERVISOR := $(filter-out supervisor/main.c,$(wildcard supervisor/*.c))
LIB_OBJ := $(SANDBOX:%.c=$(B)/%.o) $(SUPERVISOR:%.c=$(B)/%.o)
DIFF_OBJ := $(addprefix $(B)/,supervisor/diff/main.o supervisor/text.o sandbox/base/io.o)
MCP_OBJ := $(patsubst %.c,$(B)/%.o,$(filter-out supervisor/mcp/none.c,$(wildcard supervisor/mcp/*.c)))
BPF_OBJ := $(B)/bpf/watch.bpf.o $(B)/bpf/feature.bpf.o
SKEL := $(BPF_OBJ:%.bpf.o=%.skel.h)
UNIT := $(wildcard tests/unit/*.c)
JAIL := $(wildcard tests/jail/*.c)
# The built-in tools: one static program under many names, a program for the network,
# and a manifest for each.
TOOL_NAMES := bash str_replace_based_edit_tool apply_patch read_file write_file list_dir glob grep
TOOL_OBJ := $(addprefix $(B)/tools-obj/,main.o tool.o files.o grep.o edit.o patch.o shell.o)
MANIFESTS := $(patsubst tools/manifests/%,$(B)/tools/%,$(wildcard tools/manifests/*.json))
TOOLS := $(B)/tools/glovebox-tool $(addprefix $(B)/tools/,$(TOOL_NAMES)) $(B)/tools/fetch_url \
	$(MANIFESTS)
STIMULI := $(patsubst tests/stimuli/%.c,$(B)/stimuli/%,$(wildcard tests/stimuli/*.c))

.PHONY: all help check-unit check-jail check-e2e check-mcp test test-mcp test-agents test-kernels escape lint format format-check asan \
	property bench tidy install clean
.DELETE_ON_ERROR:
.SECONDARY:

all: $(B)/glovebox $(B)/glovebox-shim $(B)/glovebox-diff $(B)/glovebox-mcp $(B)/glovebox-probe $(TOOLS) ## build everything into build/

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | \
		awk -F'\t' '{ printf "  %-14s %s\n", $$1, $$2 }'

$(B)/%.bpf.o: %.bpf.c $(wildcard bpf/*.h)
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O2 -g -target bpf -D__TARGET_ARCH_x86 -Wall -I. -c $< -o $@

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(notdir $*)_bpf > $@

$(B)/%.o: %.c | $(SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/supervisor/diff/main.o: PKG_CFLAGS += $(shell pkg-config --cflags libgit2)

$(B)/glovebox: $(B)/supervisor/main.o $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $^ -o $@ $(PKG_LIBS)

# The escape suite's control: stages can be left out. Never installed.
$(B)/weak/tool.o: sandbox/tool.c | $(SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -DSB_WEAKENED $(PKG_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/weak/glovebox: $(B)/supervisor/main.o $(B)/weak/tool.o $(filter-out $(B)/sandbox/tool.o,$(LIB_OBJ)) | all
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $^ -o $@ $(PKG_LIBS)
	$(Q)ln -sfn ../tools $(B)/weak/tools && ln -sf ../glovebox-diff $(B)/weak/glovebox-diff

$(B)/glovebox-shim: | $(B)/glovebox
	$(Q)ln -sf glovebox $@

$(B)/glovebox-diff: $(DIFF_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $^ -o $@ $(shell pkg-config --libs libgit2)

# Of the library it takes what it uses, so that nothing privileged is in it.
$(B)/libglovebox.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/glovebox-mcp: $(MCP_OBJ) $(B)/supervisor/mcp/none.o $(B)/libglovebox.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) -Wl,--gc-sections $^ -o $@ $(PKG_LIBS) -lmicrohttpd

# The same, with what the conformance suite asks for: never installed.
$(B)/glovebox-mcp-fixtures: $(MCP_OBJ) $(B)/tests/mcp/fixtures.o $(B)/libglovebox.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ -o $@ $(PKG_LIBS) -lmicrohttpd

$(B)/glovebox-probe: tools/probe.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -static $< -o $@

$(B)/tools-obj/%.o: tools/%.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(OPT) $(WARN) $(WERROR) -fstack-protector-strong -MMD -MP -c $< -o $@

$(B)/tools/glovebox-tool: $(TOOL_OBJ)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -static $^ -o $@ -ljansson && chmod 755 $(@D) $@

$(addprefix $(B)/tools/,$(TOOL_NAMES)): $(B)/tools/glovebox-tool
	$(Q)ln -sf glovebox-tool $@

$(B)/tools/fetch_url: $(B)/tools-obj/fetch.o $(B)/tools-obj/tool.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $^ -o $@ -ljansson -lcurl && chmod 755 $@

$(B)/tools/%.json: tools/manifests/%.json
	@mkdir -p $(@D)
	$(Q)install -m 644 $< $@

$(B)/stimuli/%: tests/stimuli/%.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 -O2 $(WARN) -static $< -o $@ -pthread

$(B)/unit-tests: $(UNIT:%.c=$(B)/%.o) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ -o $@ $(PKG_LIBS) -lcriterion

$(B)/jail-tests: $(JAIL:%.c=$(B)/%.o) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $^ -o $@ $(PKG_LIBS) -lcriterion

$(B)/tests/jail $(B)/unit-tests: | $(B)/tests
$(B)/tests:
	@mkdir -p $@

check-unit: $(B)/unit-tests $(BPF_OBJ) ## unit tests: no privileges, a few seconds
	$(Q)$(B)/unit-tests --jobs 2 $(T)

check-jail: all $(B)/jail-tests $(STIMULI) ## stages and refusals, in real sandboxes (root)
	$(Q)$(B)/jail-tests --jobs 2 $(T)

check-e2e: all $(STIMULI) $(B)/weak/glovebox ## the real binary, end to end, and the attacks (root)
	$(Q)GLOVEBOX_TEST_SCALE=2 /usr/bin/python3 -m pytest -q -p no:cacheprovider -n 2 -m "not alone" tests/e2e tests/escape $(T)
	$(Q)/usr/bin/python3 -m pytest -q -p no:cacheprovider -m alone tests/e2e $(T) || [ $$? = 5 ] # none of those was chosen

check-mcp: all ## glovebox-mcp with clients of our own (root)
	$(Q)/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/mcp/test_mcp.py tests/mcp/test_storm.py $(T)

$(B)/npm/node_modules: tests/mcp/package.json
	$(call say,NPM,$@)
	@mkdir -p $(@D) && cp $< $(@D)/
	$(Q)cd $(@D) && npm install --no-audit --no-fund --silent --loglevel=error && touch node_modules

test-mcp: all $(B)/glovebox-mcp-fixtures $(B)/npm/node_modules ## the official conformance suite, inspector and SDK (SHORT=1: the suite alone)
	$(Q)/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/mcp/test_suites.py $(if $(SHORT),-k conformance) $(T)

$(B)/agents/node_modules: tests/agents/package.json
	$(call say,NPM,$@)
	@mkdir -p $(@D) && cp $< $(@D)/
	$(Q)cd $(@D) && npm install --no-audit --no-fund --silent --loglevel=error && touch node_modules

test-agents: all $(B)/agents/node_modules ## Claude Code and Codex as they are, with a scripted model (downloads 1 GB)
	$(Q)/usr/bin/python3 -m pytest -q -rs -p no:cacheprovider tests/agents $(T)

test-loss: all $(STIMULI) ## a thousand floods: every record delivered or counted (root, half an hour)
	$(Q)GLOVEBOX_LOSS_RUNS=1000 /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e/test_loss.py -k fast $(T)

escape: all $(B)/weak/glovebox ## the escape suite by itself, in every tier this machine has (root)
	$(Q)tests/escape/run
	$(Q)/usr/bin/python3 -m pytest -q -p no:cacheprovider tests/escape $(T)

test: check-unit check-jail check-e2e check-mcp ## all suites

property: all ## 10,000 random sequences of file operations in calls, against a plain directory (root)
	$(Q)GLOVEBOX_SEQUENCES=10000 /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/e2e/test_layers.py -k random

test-kernels: all $(STIMULI) ## the same on Debian's own kernel in qemu (SHORT=1: one boot)
	$(Q)tests/kernels/run

bench: all $(STIMULI) ## figures, in ratios measured side by side (SHORT=1: fewer runs)
	$(Q)/usr/bin/python3 tests/bench/bench.py

lint: ## arrows, sizes, format, shellcheck, states only set by their setter
	$(Q)scripts/lint

format: ## clang-format everything in place
	$(Q)clang-format -i $$(git ls-files -co --exclude-standard '*.c' '*.h')

asan: ## unit tests under ASan and UBSan
	$(Q)$(MAKE) --no-print-directory B=build/asan OPT='-O1 -g' \
		SAN='-fsanitize=address,undefined -fno-omit-frame-pointer' check-unit

install: all ## into $(DESTDIR)/usr/local
	install -d $(DESTDIR)/usr/local/bin
	install -m 755 $(B)/glovebox $(B)/glovebox-diff $(B)/glovebox-mcp $(B)/glovebox-probe $(DESTDIR)/usr/local/bin
	ln -sf glovebox $(DESTDIR)/usr/local/bin/glovebox-shim
	install -d $(DESTDIR)/usr/local/lib/glovebox/tools
	cp -P $(TOOLS) $(DESTDIR)/usr/local/lib/glovebox/tools

clean: ## remove build/
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
