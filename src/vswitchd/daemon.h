/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch process: one thread, one loop. It serves the ports that have something in rounds, looks after descriptors now and then, and sleeps
 * when nobody has anything. Everything here belongs to that thread.
 *
 * Ports and connections may end while others are at work: they are marked (port_kill), taken out of the switch at a safe point (daemon_reap), and
 * freed at the end of the turn, so nothing that the turn still holds points to freed memory.
 */
#ifndef VSWITCHD_DAEMON_H
#define VSWITCHD_DAEMON_H

#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "spin.h"
#include "vswitch/vswitch.h"
#include "vswitchd/config.h"

struct daemon;
struct sw;
struct port;
struct connection;
struct nat;

/* Somebody who waits for a descriptor (edge-triggered). */
struct source {
	void (*fn)(void *ctx, uint32_t events);
	void *ctx;
};

enum port_state {
	PORT_EMPTY, /* nothing there */
	PORT_MOVED, /* frames came in */
};

struct port_kind {
	const char *name;
	bool spins; /* looking for frames is cheap: goes on for a while before the port sleeps */
	/* Lets frames of up to @budget bytes in. */
	enum port_state (*serve)(struct port *p, uint32_t budget, uint64_t now_ns);
	/* Nothing came for a while: who brings something shall ring. False: something is there. May be NULL. */
	bool (*sleep)(struct port *p);
	void (*wake)(struct port *p); /* takes it back; may be NULL */
	/* Frees everything; the port is in no switch and no list. */
	void (*destroy)(struct port *p);
	/* Once a second, and when links change; may be NULL. */
	void (*check)(struct port *p);
	/* p->link changed: its owner shall know. May be NULL. */
	void (*tell_link)(struct port *p);
};

struct port {
	const struct port_kind *kind;
	struct daemon *daemon;
	struct sw *sw;
	struct vswitch_port *core;
	json_t *options;	  /* VM: as asked for; others: as changed; NULL: none */
	struct vswitch_vlan vlan; /* as it began */
	const char *trouble;	  /* for people: why it has no carrier; NULL */
	bool carrier;		  /* the interface, or the network behind the switch, has a link */
	bool off;		  /* switched off by hand */
	bool link;		  /* what its owner sees: both */
	bool active;
	bool dying;
	uint64_t idle_since_ns; /* active: when it first had nothing; 0: it had */
	uint64_t slept_ns;	/* when it last went to sleep */
	uint64_t wait_ns;	/* its rate limit wants it left alone until then */
	struct port *next;	/* of its switch */
	struct port *active_prev, *active_next;
	struct port *dying_next;
};

struct sw {
	struct switch_config config;
	struct daemon *daemon;
	struct vswitch *core;
	uint64_t tick_ns;
	bool touched; /* frames came in since the last flush */
	struct port *ports;
	unsigned port_count;
	unsigned vm_count;
	struct nat *nat; /* NAT switch with ports */
	struct sw *next;
};

/* Descriptors for one wait. */
struct poll_set {
	struct pollfd *fds;
	unsigned count, max;
};

/* A configured switch whose interfaces could not be had. */
struct absent {
	struct switch_config config;
	char why[500];
	struct absent *next;
};

struct daemon {
	int epoll_fd;
	int listen_fd;
	int link_fd; /* rtnetlink: links change; -1: none */
	int signal_fd;
	uid_t owner; /* who started it */
	bool quit;
	bool links_changed;
	bool has_seal_key;
	uint8_t seal_key[16]; /* seal.h */
	bool has_uso;	      /* the kernel knows UDP segmentation in virtio_net_hdr */
	struct source listen_source, link_source, signal_source;
	struct sw *switches;
	unsigned switch_count;
	struct absent *absent;
	struct port *active;	 /* first */
	struct port *active_end; /* last */
	struct port *dying;	 /* to take out of their switches */
	struct port *graves;	 /* to free at the end of the turn */
	struct connection *connections;
	struct connection *connection_graves;
	unsigned connection_count;
	unsigned vm_count;
	struct spin spin;
	uint64_t idle_ns;	/* ends that long after the last port; 0: never */
	uint64_t idle_since_ns; /* 0: not idle */
	uint64_t events_ns;	/* when descriptors were last looked at */
	uint64_t check_ns;	/* when links were */
	struct poll_set waits;
	uint8_t *frame; /* NET_FRAME_BYTES_MAX and some: the frame that is read */
};

#define DAEMON_FRAME_BYTES (NET_FRAME_BYTES_MAX + 128u)

/* daemon.c */
/* Its place in @set; -1: no memory. */
int poll_set_add(struct poll_set *set, int fd, short events);
int daemon_add_source(struct daemon *d, int fd, struct source *s);
/* Before @fd is closed: others may have copies of it, and the kernel tells of events until the last one is closed. */
void daemon_remove_source(struct daemon *d, int fd);
/* The owner is who calls. -errno; daemon_fini in any case. */
int daemon_init(struct daemon *d);
/* Everything that it has. */
void daemon_fini(struct daemon *d);
/* One turn of the loop; sleeps until @latest_ns at most. */
int daemon_turn(struct daemon *d, uint64_t latest_ns);
/* Serves until quit. Returns a negative errno when the kernel fails. */
int daemon_run(struct daemon *d);
/* Takes what died out of its switch; not from within a switch's call. */
void daemon_reap(struct daemon *d);
void daemon_free_graves(struct daemon *d);

/* port.c */
/* Puts @p (kind, daemon, sw set; else zeroed) into its switch. Errors of vswitch_port_add. */
int port_add(struct port *p, const struct vswitch_port_config *config,
	     const struct vswitch_port_ops *ops);
/* Has something to serve. */
void port_activate(struct port *p);
void port_deactivate(struct port *p);
/* Its interface, or the network behind its switch, has a link or lost it, @trouble says how. */
void port_set_carrier(struct port *p, bool up, const char *trouble);
/* Somebody switched it off, or on again. */
void port_switch(struct port *p, bool on);
/* Ends it soon. */
void port_kill(struct port *p);
const char *port_name(const struct port *p);
/* It is there as long as its switch is. */
bool port_is_interface(const struct port *p);
struct port *port_find(struct sw *s, const char *name);
/* A frame from its owner. */
void port_input(struct port *p, const struct net_frame *f, uint64_t now_ns);

/* sw.c */
struct sw *sw_find(struct daemon *d, const char *name);
/* @fds: of its interfaces; those that are taken over become -1, also on failure. -errno with @error. */
int sw_create(struct daemon *d, const struct switch_config *config, int *fds, char *error,
	      size_t size);
void sw_destroy(struct sw *s);
/* Makes the default switch and those of the list at @config_path; those whose interfaces cannot be had are absent. False: @error. */
bool switches_open(struct daemon *d, const char *config_path, char *error, size_t size);
/* Remembers why a switch is not there; forgets it. */
void sw_add_absent(struct daemon *d, const struct switch_config *config, const char *why);
bool sw_drop_absent(struct daemon *d, const char *name);
/* Its NAT is there from now on. */
int sw_need_nat(struct sw *s);
/* Its network's MTU, for adapters. */
uint32_t sw_mtu(const struct sw *s);
/* Keeps the process alive without VMs. */
bool sw_is_held(const struct sw *s);

/* port_options.c */
/* @options, taken over, are those of a new port, which is configured by them but for the rest. -errno with @error: the port is to be killed. */
int port_begin(struct port *p, json_t *options, char *error, size_t size);
/* Changes options of a port that lives. -errno with @error: nothing changed. */
int port_change(struct port *p, json_t *changes, char *error, size_t size);
/* Tells the one who plugged a cable in how to do so again. */
void port_tell_owner(struct port *p);

/* tap.c, packet.c: takes @fd over when it returns 0. -errno with @error. */
int tap_create(struct sw *s, const char *name, int fd, char *error, size_t size);
int packet_create(struct sw *s, const char *name, int fd, char *error, size_t size);
uint32_t interface_mtu(const struct port *p); /* of a TAP or packet port; 0: unknown */

/* cable.c: a VM's port. Descriptors for the worker go to @ret_fds (2 + queues), the caller's. */
int cable_create(struct sw *s, struct connection *c, const struct vswitch_port_config *config,
		 unsigned queues, struct port **ret, int *ret_fds);
/* The connection of a cable is gone or goes. */
struct connection *cable_connection(struct port *p);
unsigned cable_queues(const struct port *p);
bool port_is_cable(const struct port *p);

/* nat.c */
int nat_create(struct sw *s, struct nat **ret);
void nat_destroy(struct nat *n);
/* The guest with @mac is gone. */
void nat_forget(struct nat *n, const uint8_t *mac);
/* Adds its descriptors to @set, lowers *timeout_ns. */
void nat_before_wait(struct nat *n, struct poll_set *set, uint64_t *timeout_ns);
void nat_after_wait(struct nat *n, struct poll_set *set, bool failed);

/* control.c */
/* Starts listening to d->listen_fd. */
int control_start(struct daemon *d);
/* Serves whoever is at the other end of @fd (non-blocking, taken over), when it is the owner or root. */
void connection_open(struct daemon *d, int fd);
void connection_close(struct connection *c);
/* Has its other side hung up? */
bool connection_is_gone(struct connection *c);
void connection_set_port(struct connection *c, struct port *p);
/* Without having been asked; lost when it does not listen. */
void connection_tell(struct connection *c, const char *text);
void connection_free_graves(struct daemon *d);

/* verbs.c */
struct message;
struct request {
	struct daemon *daemon;
	struct connection *connection;
	struct port *connected; /* the port that the connection has; NULL: none */
	struct message *message;
	json_t *answer; /* an object, to be filled */
	int fds[80];	/* that go with the answer; closed afterwards */
	unsigned fd_count;
	char error[1200];
};
/* Carries it out. 0, or a negative errno with error. */
int verbs_do(struct request *q);

/* report.c */
json_t *report_switch(struct sw *s, bool ports);
json_t *report_stats(struct port *p);
json_t *report_macs(struct sw *s);

/* filter.c: from here on only what a serving switch needs. -errno. */
int filter_enter(void);

#endif
