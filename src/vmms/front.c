// SPDX-License-Identifier: Apache-2.0
#include "front.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static const char *choose_group(const json_t *settings)
{
	const char *group = text(settings, "group");

	if (group != NULL || json_object_get(settings, "group") != NULL) {
		return group; /* null: nobody */
	}
	return geteuid() == 0 && getgrnam(FRONT_GROUP) != NULL ? FRONT_GROUP : NULL;
}

static int listen_local(struct http *h, const struct front_config *config, char *error, size_t size)
{
	if (config->fd_count == 0) {
		return http_listen_unix(h, config->path, choose_group(config->settings), error,
					size);
	}
	for (unsigned i = 0; i < config->fd_count; i++) {
		int r = http_listen_fd(h, config->first_fd + (int)i, error, size);

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int listen_tls(struct http *h, const json_t *settings, char *error, size_t size)
{
	const json_t *tls = json_object_get(settings, "tls");
	json_int_t port = json_integer_value(json_object_get(tls, "port"));
	const struct http_tls_config config = {
		.address = text(tls, "address"),
		.port = port < 1 || port > 65535 ? 0 : (unsigned)port,
		.certificate = text(tls, "certificate"),
		.key = text(tls, "key"),
		.client_ca = text(tls, "client_ca"),
		.passwords = json_is_true(json_object_get(tls, "passwords")),
	};

	if (tls == NULL || json_is_null(tls)) {
		return 0;
	}
	if (!json_is_object(tls) || config.port == 0) {
		snprintf(error, size,
			 "host.json: api.tls: expected an object with a port of 1 to 65535");
		return -EINVAL;
	}
	if (config.client_ca == NULL && !config.passwords) {
		snprintf(error, size,
			 "host.json: api.tls: nobody could be let in; expected a client_ca, or "
			 "passwords: true");
		return -EINVAL;
	}
	return http_listen_tls(h, &config, error, size);
}

int front_open(struct api *a, const struct front_config *config, struct http **ret, char *error,
	       size_t size)
{
	json_int_t timeout =
		json_integer_value(json_object_get(config->settings, "request_timeout_s"));
	const struct http_config http = {
		.request_timeout_s = timeout < 1 || timeout > 3600 ? 0 : (unsigned)timeout,
		.pam_folder = config->pam_folder};
	struct http *h;
	int r = http_create(a, &http, config->tasks, &h);

	if (r < 0) {
		snprintf(error, size, "HTTP cannot be served: %s", strerror(-r));
		return r;
	}
	r = listen_local(h, config, error, size);
	if (r == 0) {
		r = listen_tls(h, config->settings, error, size);
	}
	if (r < 0) {
		http_destroy(h);
		return r;
	}
	*ret = h;
	return 0;
}
