#include "daemon/fleet/fleet_scripts.h"

const struct fleet_script fleet_script_renew = {
    "renew", "local token = redis.call('GET', KEYS[1])\n"
             "if not token then\n"
             "  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
             "  return 2\n"
             "end\n"
             "if token ~= ARGV[1] then return 0 end\n"
             "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
             "return 1\n"};

const struct fleet_script fleet_script_release = {
    "release", "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
               "return redis.call('DEL', KEYS[1])\n"};

/* The bytes of a stamp are compared one by one, from the highest on: a number of Lua has 53 bits,
 * and its comparison of strings depends on the locale of the server. A key of another type has no
 * head: SET replaces it. */
const struct fleet_script fleet_script_replace = {
    "replace", "local head = redis.pcall('GETRANGE', KEYS[1], 0, 63)\n"
               "local replace = type(head) ~= 'string' or head == ARGV[3]\n"
               "if not replace then\n"
               "  replace = #head < 64 or string.sub(head, 1, 4) ~= 'fcT1'\n"
               "end\n"
               "if not replace and string.byte(head, 5) == 1 then return 2 end\n"
               "if not replace and ARGV[4] == '1' then\n"
               "  for i = 32, 25, -1 do\n"
               "    local old, new = string.byte(head, i), string.byte(ARGV[1], i)\n"
               "    if old ~= new then\n"
               "      replace = old < new\n"
               "      break\n"
               "    end\n"
               "  end\n"
               "end\n"
               "if not replace then return 0 end\n"
               "if ARGV[2] == '0' then\n"
               "  redis.call('SET', KEYS[1], ARGV[1])\n"
               "else\n"
               "  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
               "end\n"
               "return 1\n"};
