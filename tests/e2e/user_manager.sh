#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# user_manager.sh PLACE UID COMMAND...: runs the command as a user whose systemd runs. Needs a mount
# namespace of its own; makes and removes a group of its own. The group that COMMAND starts in is
# root's, as that of a login session is.
set -eu
place=$1 uid=$2
shift 2
umount -l /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
# sd_booted(3) asks for this directory
mkdir -p /run/systemd
mount -t tmpfs none /run/systemd
mkdir /run/systemd/system
group=/sys/fs/cgroup/gb-manager-$$
mkdir "$group" "$group/manager" "$group/outside"
chown "$uid:$uid" "$group" "$group/cgroup.procs" "$group/manager" "$group"/manager/cgroup.*
export HOME="$place" XDG_RUNTIME_DIR="$place/x"
unset DBUS_SESSION_BUS_ADDRESS
clean() {
	echo 1 > "$group/cgroup.kill"
	wait
	find "$group" -depth -type d -exec rmdir {} \;
}
trap clean EXIT
as="setpriv --reuid=$uid --regid=$uid --clear-groups"
(echo 0 > "$group/manager/cgroup.procs" && exec $as /usr/lib/systemd/systemd --user --unit=basic.target) > "$place/manager.log" 2>&1 &
tries=0
until $as busctl --user list > /dev/null 2>&1; do
	tries=$((tries + 1))
	[ $tries -lt 600 ] || { echo "the user manager did not come up:" >&2; cat "$place/manager.log" >&2; exit 1; }
	sleep 0.05
done
status=0
(echo 0 > "$group/outside/cgroup.procs" && exec "$@") || status=$?
exit $status
