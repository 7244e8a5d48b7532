// SPDX-License-Identifier: Apache-2.0
/* sandbox/stage.c - the names of the stages, for messages and tests. */
#include "sandbox/wire.h"

const char *const sb_stage_names[SB_STAGE_COUNT] = {
	[SB_STAGE_NONE] = "none",
	[SB_STAGE_REQUEST] = "request",
	[SB_STAGE_RANGE] = "user id range",
	[SB_STAGE_CGROUP] = "control groups",
	[SB_STAGE_STORE] = "session directory",
	[SB_STAGE_WORKSPACE] = "workspace",
	[SB_STAGE_NAMESPACES] = "namespaces",
	[SB_STAGE_NETWORK] = "network",
	[SB_STAGE_ROOT] = "root",
	[SB_STAGE_DEVICES] = "devices",
	[SB_STAGE_LAYER] = "layer",
	[SB_STAGE_PIVOT] = "pivot",
	[SB_STAGE_RULES] = "landlock rules",
	[SB_STAGE_LEAF] = "call control group",
	[SB_STAGE_CLONE] = "clone",
	[SB_STAGE_JOIN] = "join",
	[SB_STAGE_PROC] = "proc",
	[SB_STAGE_INIT] = "init",
	[SB_STAGE_TERMINAL] = "terminal",
	[SB_STAGE_LIMITS] = "limits",
	[SB_STAGE_PRIVILEGES] = "privileges",
	[SB_STAGE_KEYRING] = "keyring",
	[SB_STAGE_FDS] = "file descriptors",
	[SB_STAGE_DIRECTORY] = "working directory",
	[SB_STAGE_LANDLOCK] = "landlock",
	[SB_STAGE_FILTER] = "filter",
	[SB_STAGE_EXEC] = "exec",
};
