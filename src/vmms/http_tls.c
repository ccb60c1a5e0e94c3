// SPDX-License-Identifier: Apache-2.0
/* The TLS listener. What a client's certificate says is in http_certificate.c. */
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_listener.h"
#include "http_tls.h"
#include "lib/check.h"

#define BACKLOG 256
#define PEM_BYTES_MAX (1 << 20)
#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct http_tls {
	char *certificate, *key, *client_ca;
	bool passwords;
	struct MHD_OptionItem options[6];
};

const struct MHD_OptionItem *http_tls_options(const struct http_tls *t)
{
	return t->options;
}

bool http_tls_passwords(const struct http_tls *t)
{
	return t->passwords;
}

void http_tls_destroy(struct http_tls *t)
{
	if (t == NULL) {
		return;
	}
	if (t->key != NULL) {
		explicit_bzero(t->key, strlen(t->key));
	}
	free(t->certificate);
	free(t->key);
	free(t->client_ca);
	free(t);
}

/* ---- Files ---- */

static char *read_whole(int fd, size_t bytes)
{
	char *text = malloc(bytes + 1);
	size_t at = 0;

	while (text != NULL && at < bytes) {
		ssize_t n = read(fd, text + at, bytes - at);

		if (n <= 0) {
			free(text);
			return NULL;
		}
		at += (size_t)n;
	}
	if (text != NULL) {
		text[bytes] = '\0';
	}
	return text;
}

static char *read_pem(const char *what, const char *path, char *error, size_t size)
{
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text = NULL;

	if (path == NULL) {
		snprintf(error, size, "TLS needs a %s; name its PEM file", what);
		return NULL;
	}
	if (fd < 0 || fstat(fd, &st) < 0) {
		snprintf(error, size, "%s (%s): %s", path, what, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > PEM_BYTES_MAX) {
		snprintf(error, size, "%s (%s): expected a PEM file of 1 byte to 1 MiB", path,
			 what);
	} else {
		text = read_whole(fd, (size_t)st.st_size);
		if (text == NULL) {
			snprintf(error, size, "%s (%s): cannot be read", path, what);
		} else if (strstr(text, "-----BEGIN ") == NULL) {
			snprintf(error, size, "%s (%s): is not PEM; expected '-----BEGIN ...'",
				 path, what);
			free(text);
			text = NULL;
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	return text;
}

/* The library only says that it cannot start: what is wrong is found here. */
static bool check_pair(const struct http_tls *t, const struct http_tls_config *config, char *error,
		       size_t size)
{
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t certificate = {(unsigned char *)t->certificate,
				      (unsigned)strlen(t->certificate)};
	gnutls_datum_t key = {(unsigned char *)t->key, (unsigned)strlen(t->key)};

	if (gnutls_certificate_allocate_credentials(&credentials) < 0) {
		snprintf(error, size, "out of memory");
		return false;
	}
	int r = gnutls_certificate_set_x509_key_mem(credentials, &certificate, &key,
						    GNUTLS_X509_FMT_PEM);

	if (r < 0) {
		snprintf(error, size, "%s and %s: are no certificate and its key: %s",
			 config->certificate, config->key, gnutls_strerror(r));
	} else if (t->client_ca != NULL) {
		gnutls_datum_t ca = {(unsigned char *)t->client_ca, (unsigned)strlen(t->client_ca)};

		r = gnutls_certificate_set_x509_trust_mem(credentials, &ca, GNUTLS_X509_FMT_PEM);
		if (r <= 0) {
			snprintf(error, size, "%s: holds no certificate of an authority",
				 config->client_ca);
			r = -1;
		}
	}
	gnutls_certificate_free_credentials(credentials);
	return r >= 0;
}

static void set_options(struct http_tls *t)
{
	unsigned n = 0;

	t->options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, t->certificate};
	t->options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, t->key};
	t->options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0,
						  (void *)(uintptr_t)PRIORITIES};
	if (t->client_ca != NULL) {
		t->options[n++] =
			(struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, t->client_ca};
	}
	t->options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

static struct http_tls *load(const struct http_tls_config *config, char *error, size_t size)
{
	struct http_tls *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		snprintf(error, size, "out of memory");
		return NULL;
	}
	t->passwords = config->passwords;
	t->certificate = read_pem("certificate", config->certificate, error, size);
	t->key = t->certificate == NULL ? NULL : read_pem("key", config->key, error, size);
	bool ok = t->key != NULL;

	if (ok && config->client_ca != NULL) {
		t->client_ca = read_pem("authority of clients", config->client_ca, error, size);
		ok = t->client_ca != NULL;
	}
	if (!ok || !check_pair(t, config, error, size)) {
		http_tls_destroy(t);
		return NULL;
	}
	set_options(t);
	return t;
}

/* ---- Listening ---- */

static int bind_address(const struct addrinfo *a)
{
	int on = 1, off = 0;
	int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0) {
		return -errno;
	}
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	}
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* All addresses: one socket for IPv6 and IPv4, or only IPv4 where there is no IPv6. */
static int open_socket(const struct http_tls_config *config, char *error, size_t size)
{
	const struct addrinfo hints = {.ai_family = config->address == NULL ? AF_INET6 : AF_UNSPEC,
				       .ai_socktype = SOCK_STREAM,
				       .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	struct addrinfo *found = NULL;
	char port[16];
	int r;

	snprintf(port, sizeof(port), "%u", config->port);
	if (config->port > 65535 || getaddrinfo(config->address == NULL ? "::" : config->address,
						port, &hints, &found) != 0) {
		snprintf(error, size, "'%.100s' port %u is no address of this host",
			 config->address == NULL ? "::" : config->address, config->port);
		return -EINVAL;
	}
	r = bind_address(found);
	if (r == -EAFNOSUPPORT && config->address == NULL) {
		struct sockaddr_in any = {.sin_family = AF_INET,
					  .sin_port = htons((uint16_t)config->port)};
		const struct addrinfo v4 = {.ai_family = AF_INET,
					    .ai_addr = (struct sockaddr *)&any,
					    .ai_addrlen = sizeof(any)};

		r = bind_address(&v4);
	}
	freeaddrinfo(found);
	if (r < 0) {
		snprintf(error, size, "cannot listen on %s port %u: %s",
			 config->address == NULL ? "any address" : config->address, config->port,
			 strerror(-r));
	}
	return r;
}

int http_listen_tls(struct http *h, const struct http_tls_config *config, char *error, size_t size)
{
	struct http_tls *t = load(config, error, size);

	if (t == NULL) {
		return -EINVAL;
	}
	int fd = open_socket(config, error, size);

	if (fd < 0) {
		http_tls_destroy(t);
		return fd;
	}
	int r = http_listener_start(h, fd, t, NULL);

	if (r < 0) {
		snprintf(error, size, "HTTPS cannot be served: %s", strerror(-r));
	}
	return r;
}
