// Included by extmod/modtime.c.  Without a clock, time starts at 2000-01-01 as on the ESP8266.
static mp_obj_t time_localtime(size_t n_args, const mp_obj_t *args);

static mp_obj_t mp_time_time_get(void) {
    return mp_obj_new_int_from_uint(mp_hal_ticks_ms() / 1000);
}

static mp_obj_t mp_time_localtime_get(void) {
    mp_obj_t now = mp_time_time_get();
    return time_localtime(1, &now);
}
