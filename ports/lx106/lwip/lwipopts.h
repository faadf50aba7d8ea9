// lwIP's options: small, and near what the ESP8266's own build of lwIP 1.4 has.
#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#include "py/mpconfig.h"

#define NO_SYS                          1
#define SYS_LIGHTWEIGHT_PROT            0       // lwIP runs in one context only
#define MEM_ALIGNMENT                   4

#define LWIP_RAW                        1
#define LWIP_NETCONN                    0
#define LWIP_SOCKET                     0
#define LWIP_STATS                      0
#define LWIP_TESTMODE                   1       // MicroPython asks for lwIP's list of timeouts
#define LWIP_NETIF_HOSTNAME             1
#define LWIP_DHCP                       1
#define LWIP_DHCP_DOES_ACD_CHECK        0       // saves seconds at start-up
#define LWIP_DNS                        1
#define DNS_SERVER_PORT                 lan_dns_port
extern unsigned short lan_dns_port;
#define LWIP_IGMP                       1
#define IP_REASSEMBLY                   0
#define IP_FRAG                         0
#define SO_REUSE                        1
#define TCP_LISTEN_BACKLOG              1

// Outgoing data lives in the heap of MEM_SIZE, incoming frames in the pool: each in one piece, as
// the chip's Wi-Fi delivers them, and read in one.
#define MEM_SIZE                        (6 * 1024)
#define PBUF_POOL_SIZE                  12
#define PBUF_POOL_BUFSIZE               1536
#define ETH_PAD_SIZE                    2       // IP and what it holds begin at words
#define TCP_MSS                         1460
#define TCP_WND                         (4 * TCP_MSS)
#define TCP_SND_BUF                     (2 * TCP_MSS)
#define MEMP_NUM_TCP_PCB                5
#define MEMP_NUM_TCP_PCB_LISTEN         4
#define MEMP_NUM_TCP_SEG                16
#define MEMP_NUM_UDP_PCB                4

uint32_t board_random(void);
#define LWIP_RAND()                     board_random()

typedef uint32_t sys_prot_t;

#endif
