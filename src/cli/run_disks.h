/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_RUN_DISKS_H
#define CLI_RUN_DISKS_H

#include "launch/disks.h"

/*
 * Adds what FILE[,ro][,raw][,temporary][,log][,iops=N][,delay=TIME][,controller=N][,lun=N] says; a comma in the name is written twice. @option is
 * what messages begin with. False after a message.
 */
bool run_disks_add(struct launch_disks *all, enum launch_disk_kind kind, const char *option,
		   const char *arg);

#endif
