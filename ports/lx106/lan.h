// Included by extmod/modnetwork.c: the interface, and what `network` holds beside it.
#ifndef LAN_H
#define LAN_H

extern const struct _mp_obj_type_t lan_wlan_type;

// The ESP8266's values.
#define LAN_IDLE    (0)
#define LAN_GOT_IP  (5)

#endif
