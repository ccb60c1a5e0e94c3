// SPDX-License-Identifier: Apache-2.0
#include "vswitchd/interface.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* As the kernel's struct in6_ifreq, whose header does not go with the C library's. */
struct address6_request {
	struct in6_addr address;
	uint32_t prefix;
	int index;
};

static void name_request(struct ifreq *r, const char *name)
{
	memset(r, 0, sizeof(*r));
	snprintf(r->ifr_name, sizeof(r->ifr_name), "%s", name);
}

static int set_address4(int s, const char *name, const uint8_t *address, unsigned prefix)
{
	struct ifreq r;
	struct sockaddr_in in = {.sin_family = AF_INET};
	uint32_t mask = prefix == 0 ? 0 : ~UINT32_C(0) << (32 - prefix);

	memcpy(&in.sin_addr, address, 4);
	name_request(&r, name);
	memcpy(&r.ifr_addr, &in, sizeof(in));
	if (ioctl(s, SIOCSIFADDR, &r) < 0) {
		return -errno;
	}
	in.sin_addr.s_addr = htonl(mask);
	memcpy(&r.ifr_netmask, &in, sizeof(in));
	return ioctl(s, SIOCSIFNETMASK, &r) < 0 ? -errno : 0;
}

static int set_address6(const char *name, const uint8_t *address, unsigned prefix)
{
	struct address6_request r = {.prefix = prefix, .index = (int)if_nametoindex(name)};
	int s = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&r.address, address, 16);
	int result = s < 0 || (ioctl(s, SIOCSIFADDR, &r) < 0 && errno != EEXIST) ? -errno : 0;

	if (s >= 0) {
		close(s);
	}
	return result;
}

static int bring_up(const char *name, const char *address)
{
	struct ifreq r;
	uint8_t bytes[16];
	int family = 0, result = 0;
	unsigned prefix;
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0) {
		return -errno;
	}
	if (address[0] != '\0' && switch_address_parse(address, &family, bytes, &prefix) &&
	    family == 4) {
		result = set_address4(s, name, bytes, prefix);
	}
	name_request(&r, name);
	if (result == 0 &&
	    (ioctl(s, SIOCGIFFLAGS, &r) < 0 ||
	     ((r.ifr_flags & IFF_UP) == 0 &&
	      (r.ifr_flags = (short)(r.ifr_flags | IFF_UP), ioctl(s, SIOCSIFFLAGS, &r) < 0)))) {
		/* Somebody else's TAP that we may use but not set up is fine without. */
		result = errno == EPERM && address[0] == '\0' ? 0 : -errno;
	}
	close(s);
	return result == 0 && family == 6 ? set_address6(name, bytes, prefix) : result;
}

static uint64_t hash(uint64_t h, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++) {
		h = (h ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	}
	return h;
}

/*
 * A TAP device that we have made gets the same address every time, so that machines find the host again when the process was restarted. Where that is
 * not permitted the kernel's random one is as good but for this.
 */
static void settle_mac(int fd, const char *name)
{
	char machine[64];
	int id = open("/etc/machine-id", O_RDONLY | O_CLOEXEC);
	ssize_t n = id < 0 ? 0 : read(id, machine, sizeof(machine));
	uint64_t h = hash(UINT64_C(0xcbf29ce484222325), machine, n > 0 ? (size_t)n : 0);
	struct ifreq r;

	if (id >= 0) {
		close(id);
	}
	name_request(&r, name);
	h = hash(h, name, strlen(name));
	r.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(r.ifr_hwaddr.sa_data, &h, 6);
	r.ifr_hwaddr.sa_data[0] = 2; /* of a single machine, and nobody's product */
	ioctl(fd, SIOCSIFHWADDR, &r);
}

static bool tap_refused(const struct switch_config *c, int err, char *error, size_t size)
{
	const char *name = c->interfaces[0];

	if (err == EPERM || err == EACCES) {
		snprintf(error, size,
			 "switch '%s': no permission to make the TAP device '%s': expected root or "
			 "CAP_NET_ADMIN; run this as root, or let root make one for you (ip tuntap "
			 "add %s mode tap vnet_hdr user NAME), or use the switch 'default', which "
			 "needs no rights",
			 c->name, name, name);
	} else if (err == EBUSY) {
		snprintf(error, size,
			 "switch '%s': the TAP device '%s' is in use; expected one of its own: "
			 "choose another with --interface, or end who uses it",
			 c->name, name);
	} else if (err == ENOENT || err == ENXIO || err == ENODEV) {
		snprintf(error, size,
			 "switch '%s': /dev/net/tun: %s; expected the kernel's TUN/TAP driver "
			 "(modprobe tun)",
			 c->name, strerror(err));
	} else {
		snprintf(error, size,
			 "switch '%s': the TAP device '%s': %s; expected a new name, or a TAP "
			 "device "
			 "that nobody uses",
			 c->name, name, strerror(err));
	}
	return false;
}

static bool open_tap(const struct switch_config *c, int *ret_fd, char *error, size_t size)
{
	struct ifreq r;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		return tap_refused(c, errno, error, size);
	}
	bool made = if_nametoindex(c->interfaces[0]) == 0;

	name_request(&r, c->interfaces[0]);
	r.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	if (ioctl(fd, TUNSETIFF, &r) < 0) {
		int err = errno;

		close(fd);
		return tap_refused(c, err, error, size);
	}
	if (made) {
		settle_mac(fd, c->interfaces[0]);
	}
	int result = bring_up(c->interfaces[0], c->address);

	if (result < 0) {
		snprintf(error, size, "switch '%s': setting up '%s' with '%s': %s", c->name,
			 c->interfaces[0], c->address, strerror(-result));
		close(fd);
		return false;
	}
	*ret_fd = fd;
	return true;
}

static void list_interfaces(char *to, size_t size)
{
	struct if_nameindex *all = if_nameindex();
	size_t at = 0;

	snprintf(to, size, "none");
	for (struct if_nameindex *i = all; i != NULL && i->if_index != 0; i++) {
		int n = snprintf(to + at, size - at, "%s%s", at == 0 ? "" : ", ", i->if_name);

		at += n > 0 && (size_t)n < size - at ? (size_t)n : 0;
	}
	if_freenameindex(all);
}

static bool open_packet(const struct switch_config *c, const char *name, bool must_exist,
			int *ret_fd, char *error, size_t size)
{
	char found[300];

	if (must_exist && if_nametoindex(name) == 0) {
		list_interfaces(found, sizeof(found));
		snprintf(error, size,
			 "switch '%s': there is no interface '%s'; found %s: name one of them",
			 c->name, name, found);
		return false;
	}
	/* Without a protocol nothing is received yet; the switch process binds it. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		snprintf(error, size, "switch '%s': no packet socket for '%s': %s%s", c->name, name,
			 strerror(errno),
			 errno == EPERM
				 ? "; expected root or CAP_NET_RAW: run this as root, or use "
				   "the switch 'default', which needs no rights"
				 : "");
		return false;
	}
	*ret_fd = fd;
	return true;
}

bool interface_open_all(const struct switch_config *c, bool must_exist, int *ret_fds, char *error,
			size_t size)
{
	for (unsigned i = 0; i < c->interface_count; i++) {
		bool ok = c->type == SWITCH_INTERNAL ? open_tap(c, &ret_fds[i], error, size)
						     : open_packet(c, c->interfaces[i], must_exist,
								   &ret_fds[i], error, size);

		if (!ok) {
			while (i-- > 0) {
				close(ret_fds[i]);
			}
			return false;
		}
	}
	return true;
}
