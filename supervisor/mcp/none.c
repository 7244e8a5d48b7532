// SPDX-License-Identifier: Apache-2.0
/* supervisor/mcp/none.c - the program that is installed has no fixtures of tests. */
#include "supervisor/mcp/mcp.h"

const struct mcp_fixtures *mcp_fixtures = NULL;
