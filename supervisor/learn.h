// SPDX-License-Identifier: Apache-2.0
/* supervisor/learn.h - `glovebox policy learn`: the smallest policy for what was observed. */
#ifndef SUPERVISOR_LEARN_H
#define SUPERVISOR_LEARN_H

/* Words: sessions, or files of reports; prints the policy. The exit status. */
int learn_policy(char **words);

#endif
