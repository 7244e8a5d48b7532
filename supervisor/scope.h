// SPDX-License-Identifier: Apache-2.0
/* supervisor/scope.h - a control group of the user's own, from his systemd. */
#ifndef SUPERVISOR_SCOPE_H
#define SUPERVISOR_SCOPE_H

/*
 * Moves this process into a new scope of the user's systemd, with `Delegate=yes`: below it
 * he may make groups (systemd.resource-control(5)). Nothing is done where the group we are
 * in is his already, or where no user manager is reached: then there are no groups, and the
 * tier says so.
 */
void scope_enter(void);

#endif
