// The network: QEMU's OpenCores Ethernet ("open_eth") under lwIP, polled, and network.WLAN.
//
// Registers, as byte offsets (QEMU's hw/net/opencores_eth.c):
//   0x00 MODER       receiver on 0x1, transmitter on 0x2, full duplex 0x400, CRC 0x2000, pad 0x8000
//   0x04 INT_SOURCE  1 clears: frame received 0x4, frame lost 0x10
//   0x08 INT_MASK
//   0x20 TX_BD_NUM   number of transmit descriptors; those for reception follow
//   0x40, 0x44       MAC address: bytes 2 to 5, bytes 0 to 1, the first one on top
//   0x400 + 8 * n    descriptor n: length << 16 | flags, then the buffer's address
//                    sending: ready 0x8000, wrap 0x2000, pad 0x1000, CRC 0x800
//                    receiving: empty 0x8000, interrupt 0x4000, wrap 0x2000
// QEMU sends inside the write that sets "ready", so one descriptor is enough, and its address has
// to be there first; a buffer may lie in any memory, at any address. Received lengths include the checksum's 4 bytes. Frames that find no empty
// descriptor are lost, as on the chip.
#include <string.h>
#include "py/mphal.h"
#include "py/runtime.h"
#include "extmod/modnetwork.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"
#include "board.h"
#include "lan.h"

#define MODER           (ETH[0x00 / 4])
#define INT_SOURCE      (ETH[0x04 / 4])
#define INT_MASK        (ETH[0x08 / 4])
#define TX_BD_NUM       (ETH[0x20 / 4])
#define MAC_ADDR0       (ETH[0x40 / 4])
#define MAC_ADDR1       (ETH[0x44 / 4])
#define DESC_FLAGS(n)   (ETH_DESC[2 * (n)])
#define DESC_BUF(n)     (ETH_DESC[2 * (n) + 1])

#define MODER_ON        (0xa403)
#define INT_RECEIVED    (0x04)
#define INT_LOST        (0x10)
#define TX_READY        (0x8000 | 0x2000 | 0x1000 | 0x0800)
#define RX_EMPTY        (0x8000)
#define RX_READY(n)     (RX_EMPTY | 0x4000 | ((n) == RX_COUNT ? 0x2000 : 0))

// Descriptor and buffer 0 send, 1 to RX_COUNT receive: the network behind QEMU delivers a whole TCP
// window at once.
#define FRAME_SIZE      (1536)
#define RX_COUNT        (9)
#define BUF(n)          (ETH_RAM + (n) * FRAME_SIZE)

static struct netif lan;

// Another one lets tests run a name server on the host, where 53 may be taken or only root's.
uint16_t lan_dns_port = 53;

// ---- Frames

static unsigned lose_every, lose_next;

void lan_lose(unsigned n) {
    lose_every = lose_next = n;
}

static bool lost(void) {
    if (lose_every == 0 || --lose_next != 0) {
        return false;
    }
    lose_next = lose_every;
    return true;
}

static err_t send(struct netif *netif, struct pbuf *p) {
    if (lost()) {
        return ERR_OK;
    }
    const void *frame = p->payload;         // in one piece it is sent from where it is
    if (p->next) {
        pbuf_copy_partial(p, (void *)BUF(0), FRAME_SIZE, 0);
        frame = (const void *)BUF(0);
    }
    DESC_BUF(0) = (uintptr_t)frame + ETH_PAD_SIZE;
    DESC_FLAGS(0) = (uint32_t)(p->tot_len - ETH_PAD_SIZE) << 16 | TX_READY;
    return ERR_OK;
}

static void receive(void) {
    static unsigned n = 1;
    for (uint32_t flags; !((flags = DESC_FLAGS(n)) & RX_EMPTY);) {
        uint16_t len = ETH_PAD_SIZE + (flags >> 16) - 4;
        struct pbuf *p = lost() ? NULL : pbuf_alloc(PBUF_RAW, len, PBUF_POOL);
        if (p) {
            pbuf_take(p, (const void *)BUF(n), len);
        }
        DESC_FLAGS(n) = RX_READY(n);
        n = n == RX_COUNT ? 1 : n + 1;
        if (p && lan.input(p, &lan) != ERR_OK) {
            pbuf_free(p);
        }
    }
}

bool lan_poll(void) {
    uint32_t source = INT_SOURCE;
    if (source) {
        INT_SOURCE = source;
        receive();
    }
    struct netif *netif;
    NETIF_FOREACH(netif) {
        if (netif->loop_first) {            // what this board sends to itself
            netif_poll(netif);
            source = INT_RECEIVED;
        }
    }
    return source != 0;
}

bool lan_timers(void) {
    bool due = lan_timer_ms() == 0;
    sys_check_timeouts();
    return due;
}

uint32_t lan_timer_ms(void) {
    return sys_timeouts_sleeptime();
}

u32_t sys_now(void) {
    return mp_hal_ticks_ms();
}

// ---- Names

// modlwip's getaddrinfo() waits with room for the answer on its stack; Ctrl-C leaves that stack, and
// lwIP, which cannot be told to forget a question, would write there later.  So the linker (--wrap)
// puts these in between.
static struct {
    dns_found_callback found;           // NULL if nobody waits any more
    void *arg;
    bool asked;                         // lwIP will call answered()
} questions[DNS_TABLE_SIZE];

static void answered(const char *name, const ip_addr_t *address, void *arg) {
    int i = (int)arg;
    questions[i].asked = false;
    if (questions[i].found) {
        questions[i].found(name, address, questions[i].arg);
    }
}

err_t __real_dns_gethostbyname_addrtype(const char *name, ip_addr_t *address,
    dns_found_callback found, void *arg, u8_t type);

err_t __wrap_dns_gethostbyname_addrtype(const char *name, ip_addr_t *address,
    dns_found_callback found, void *arg, u8_t type) {
    if (MP_STATE_MAIN_THREAD(mp_pending_exception) != MP_OBJ_NULL) {
        return ERR_INPROGRESS;          // waiting raises it
    }
    for (int i = 0; i < DNS_TABLE_SIZE; i++) {
        if (!questions[i].asked) {
            err_t err = __real_dns_gethostbyname_addrtype(name, address, answered, (void *)i, type);
            questions[i].found = found;
            questions[i].arg = arg;
            questions[i].asked = err == ERR_INPROGRESS;
            return err;
        }
    }
    return ERR_MEM;
}

void __real_mp_sched_keyboard_interrupt(void);

void __wrap_mp_sched_keyboard_interrupt(void) {
    for (int i = 0; i < DNS_TABLE_SIZE; i++) {
        if (questions[i].asked && questions[i].found) {
            // Not all who wait need be those who are interrupted.
            questions[i].found(NULL, NULL, questions[i].arg);
            questions[i].found = NULL;
        }
    }
    __real_mp_sched_keyboard_interrupt();
}

// ---- Closing

// MicroPython's close() clears these two also of a listening PCB, which ends before them: that
// would clear the send window of a connection whose PCB lies behind it.

void __real_tcp_recv(struct tcp_pcb *pcb, tcp_recv_fn recv);
void __real_tcp_err(struct tcp_pcb *pcb, tcp_err_fn err);

void __wrap_tcp_recv(struct tcp_pcb *pcb, tcp_recv_fn recv) {
    if (pcb->state != LISTEN) {
        __real_tcp_recv(pcb, recv);
    }
}

void __wrap_tcp_err(struct tcp_pcb *pcb, tcp_err_fn err) {
    if (pcb->state != LISTEN) {
        __real_tcp_err(pcb, err);
    }
}

// ---- Start

static err_t start(struct netif *netif) {
    static const uint8_t mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = 1500;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->hwaddr_len = sizeof(mac);
    memcpy(netif->hwaddr, mac, sizeof(mac));
    netif->output = etharp_output;
    netif->linkoutput = send;
    netif->hostname = mod_network_hostname_data;

    MAC_ADDR0 = mac[2] << 24 | mac[3] << 16 | mac[4] << 8 | mac[5];
    MAC_ADDR1 = mac[0] << 8 | mac[1];
    TX_BD_NUM = 1;
    for (unsigned n = 1; n <= RX_COUNT; n++) {
        DESC_BUF(n) = BUF(n) + ETH_PAD_SIZE;
        DESC_FLAGS(n) = RX_READY(n);
    }
    INT_MASK = INT_RECEIVED | INT_LOST;
    MODER = MODER_ON;
    if (MODER == MODER_ON) {                // else QEMU runs with -nic none
        netif->flags |= NETIF_FLAG_LINK_UP;
    }
    return ERR_OK;
}

void lan_init(void) {
    uint32_t port;
    if (board_arg("dns_port=", &port)) {
        lan_dns_port = port;
    }
    lwip_init();
    netif_add(&lan, NULL, NULL, NULL, NULL, start, ethernet_input);
    netif_set_default(&lan);
    netif_set_up(&lan);
    if (netif_is_link_up(&lan)) {
        dhcp_start(&lan);
        uint32_t start_ms = mp_hal_ticks_ms();
        while (!dhcp_supplied_address(&lan) && mp_hal_ticks_ms() - start_ms < 2000) {
            board_poll();
            board_wait(-1);
        }
    }
}

// ---- network.WLAN(id): the ESP8266's station, which has connected before Python starts

typedef struct _wlan_obj_t {
    mp_obj_base_t base;
} wlan_obj_t;

static const wlan_obj_t wlan_obj = { { &lan_wlan_type } };

static bool connected(void) {
    return netif_is_link_up(&lan) && !ip4_addr_isany_val(*netif_ip4_addr(&lan));
}

static mp_obj_t wlan_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw,
    const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 0, 1, false);
    return MP_OBJ_FROM_PTR(&wlan_obj);
}

static mp_obj_t wlan_active(size_t n_args, const mp_obj_t *args) {
    return mp_const_true;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(wlan_active_obj, 1, 2, wlan_active);

static mp_obj_t wlan_connect(size_t n_args, const mp_obj_t *args, mp_map_t *kwargs) {
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_KW(wlan_connect_obj, 1, wlan_connect);

static mp_obj_t wlan_isconnected(mp_obj_t self) {
    return mp_obj_new_bool(connected());
}
static MP_DEFINE_CONST_FUN_OBJ_1(wlan_isconnected_obj, wlan_isconnected);

static mp_obj_t wlan_status(size_t n_args, const mp_obj_t *args) {
    return MP_OBJ_NEW_SMALL_INT(connected() ? LAN_GOT_IP : LAN_IDLE);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(wlan_status_obj, 1, 2, wlan_status);

static mp_obj_t wlan_ifconfig(size_t n_args, const mp_obj_t *args) {
    return mod_network_nic_ifconfig(&lan, n_args - 1, args + 1);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(wlan_ifconfig_obj, 1, 2, wlan_ifconfig);

static const mp_rom_map_elem_t wlan_table[] = {
    { MP_ROM_QSTR(MP_QSTR_active), MP_ROM_PTR(&wlan_active_obj) },
    { MP_ROM_QSTR(MP_QSTR_connect), MP_ROM_PTR(&wlan_connect_obj) },
    { MP_ROM_QSTR(MP_QSTR_isconnected), MP_ROM_PTR(&wlan_isconnected_obj) },
    { MP_ROM_QSTR(MP_QSTR_status), MP_ROM_PTR(&wlan_status_obj) },
    { MP_ROM_QSTR(MP_QSTR_ifconfig), MP_ROM_PTR(&wlan_ifconfig_obj) },
    { MP_ROM_QSTR(MP_QSTR_IF_STA), MP_ROM_INT(MOD_NETWORK_STA_IF) },
    { MP_ROM_QSTR(MP_QSTR_IF_AP), MP_ROM_INT(MOD_NETWORK_AP_IF) },
};
static MP_DEFINE_CONST_DICT(wlan_dict, wlan_table);

MP_DEFINE_CONST_OBJ_TYPE(
    lan_wlan_type,
    MP_QSTR_WLAN,
    MP_TYPE_FLAG_NONE,
    make_new, wlan_make_new,
    locals_dict, &wlan_dict
    );
