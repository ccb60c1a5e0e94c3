/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMWP_VP_THREAD_H
#define VMWP_VP_THREAD_H

struct vp_thread;

/* Makes the VP's thread look at its VP again if it sleeps. Any thread. */
void vp_thread_wake(struct vp_thread *t);

#endif
