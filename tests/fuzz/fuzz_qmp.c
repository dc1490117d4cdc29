/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A QMP session that is sent anything, by a client that may not read and may come and go: the first byte of each piece
 * says which (see fuzz_piece). No machine behind it. The reply to a good command at the end says that it still serves.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "qmp_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t fuzz_piece(struct fixture *fixture, const uint8_t *data, size_t size)
{
    struct client *client = &fixture->clients[0];
    size_t count = MIN(size - 1, (size_t)(data[0] >> 2) + 1);

    switch (data[0] & 3) {
    case 0:
        client->reads = !client->reads;
        break;
    case 1:
        client_disconnect(client);
        client_connect(client);
        break;
    default:
        break;
    }
    client_send(fixture, client, (const char *)data + 1, count);
    return count + 1;
}

/* A new client is served, whatever the one before did. */
static void fuzz_end(struct fixture *fixture)
{
    static const char last[] = "{'execute':'qmp_capabilities'}{'execute':'now','id':'the end'}";
    struct client *client = &fixture->clients[0];

    client->reads = true;
    client_disconnect(client);
    client_connect(client);
    fixture_settle(fixture);
    client_send(fixture, client, last, sizeof(last) - 1);
    client_heard(client);
    if (!client->said || !strstr(client->said, "\"the end\"")) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char first[] = "{'execute':'qmp_capabilities','arguments':{'enable':['oob']}}";
    struct fixture fixture;

    if (!fixture_init(&fixture)) {
        return 0;
    }
    client_connect(&fixture.clients[0]);
    fixture_settle(&fixture);
    if (size > 0 && data[0] & 0x80) {
        client_send(&fixture, &fixture.clients[0], first, sizeof(first) - 1);
    }
    while (size > 0) {
        size_t used = fuzz_piece(&fixture, data, size);

        data += used;
        size -= used;
    }
    fuzz_end(&fixture);
    fixture_destroy(&fixture);
    return 0;
}
