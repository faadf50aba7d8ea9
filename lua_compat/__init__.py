"""APIs that Lua programs know, one file each: `from lua_compat import defold`."""
