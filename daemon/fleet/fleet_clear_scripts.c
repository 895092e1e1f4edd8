#include "daemon/fleet/fleet_clear_scripts.h"

/* Lua's numbers are doubles, exact up to 2^53. `%.0f` prints them without an exponent. */

/* Returns true if the tier has the node's id. */
#define LUA_IS_OURS                                                                                \
  "local hash = KEYS[1]\n"                                                                         \
  "local id = redis.call('HGET', hash, 'id')\n"                                                    \
  "if not id or string.sub(id, 1, 16) ~= ARGV[1] then return -1 end\n"

/* step(KIND, DETAIL, FIELDS...) makes a step. What leaves the log raises the floor. */
#define LUA_STEP                                                                                   \
  "local function step(kind, detail)\n"                                                            \
  "  local log = string.gsub(KEYS[1], 'clears$', 'log')\n"                                         \
  "  local n = string.format('%.0f', redis.call('HINCRBY', KEYS[1], 'n', 1))\n"                    \
  "  redis.call('HSET', KEYS[1], 'id', ARGV[1] .. ':' .. ARGV[2])\n"                               \
  "  redis.call('RPUSH', log,\n"                                                                   \
  "             kind .. '\\31' .. n .. '\\31' .. ARGV[2] .. '\\31' .. ARGV[3] .. '\\31' .. "       \
  "detail)\n"                                                                                      \
  "  while redis.call('LLEN', log) > 4096 do\n"                                                    \
  "    local record = redis.call('LPOP', log)\n"                                                   \
  "    local deleted = string.match(record, '^D\\31(%d+)\\31')\n"                                  \
  "    if deleted then redis.call('HSET', KEYS[1], 'floor', deleted) end\n"                        \
  "  end\n"                                                                                        \
  "  return n\n"                                                                                   \
  "end\n"

#define LUA_PARTS                                                                                  \
  "local function parts(scope)\n"                                                                  \
  "  return string.match(scope, '^([^\\31]*)\\31([^\\31]*)\\31([^\\31]*)$')\n"                     \
  "end\n"

const struct fleet_script fleet_script_clear = {
    "clear", LUA_IS_OURS LUA_STEP LUA_PARTS
    "local space, view, op = parts(ARGV[4])\n"
    "local function drop(a, b, c)\n" /* covered scopes; counts the others */
    "  local all, own = 0, 0\n"
    "  for _, field in ipairs(redis.call('HKEYS', hash)) do\n"
    "    local x, y, z = parts(field)\n"
    "    if x then\n"
    "      if (a == '' or a == x) and (b == '' or b == y) and (c == '' or c == z) then\n"
    "        redis.call('HDEL', hash, field)\n"
    "      else\n"
    "        all = all + 1\n"
    "        if x == space then own = own + 1 end\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  return all, own\n"
    "end\n"
    "local all, own = drop(space, view, op)\n"
    "if own >= 1024 and space ~= '' then\n"
    "  view, op = '', ''\n"
    "  all = drop(space, view, op)\n"
    "end\n"
    "if all >= 8192 then\n"
    "  space, view, op = '', '', ''\n"
    "  drop(space, view, op)\n"
    "end\n"
    "local scope = space .. '\\31' .. view .. '\\31' .. op\n"
    "local n = step('C', scope)\n"
    "redis.call('HSET', hash, scope, n)\n"
    "return tonumber(n)\n"};

const struct fleet_script fleet_script_delete = {"delete", LUA_IS_OURS LUA_STEP
                                                 "local n = step('D', ARGV[4])\n"
                                                 "redis.call('HSET', hash, 'deleted', n)\n"
                                                 "return tonumber(n)\n"};

const struct fleet_script fleet_script_merge = {
    "merge", LUA_STEP LUA_PARTS
    "local hash = KEYS[1]\n"
    "local id = redis.call('HGET', hash, 'id')\n"
    "if (id or '') ~= ARGV[4] then return 0 end\n"
    "local deletes, ours = string.match(ARGV[6], '^(.)(%x+)')\n"
    "local n = tonumber(redis.call('HGET', hash, 'n') or '0')\n"
    "local number = tonumber(ARGV[5])\n"
    "local function scopes(fn)\n"
    "  for scope, version in string.gmatch(ARGV[6], '\\30([^\\30]*)\\30(%d+)') do\n"
    "    fn(scope, version)\n"
    "  end\n"
    "end\n"
    "if not id then\n"
    "  redis.call('HSET', hash, 'id', ARGV[1] .. ':' .. ours, 'n', ARGV[5])\n"
    "  scopes(function(scope, version) redis.call('HSET', hash, scope, version) end)\n"
    "  if deletes == '1' then\n"
    "    redis.call('HSET', hash, 'floor', ARGV[5], 'deleted', ARGV[5])\n"
    "  end\n"
    "  redis.call('DEL', (string.gsub(hash, 'clears$', 'log')))\n"
    "  return number\n"
    "end\n"
    "if number > n then redis.call('HSET', hash, 'n', ARGV[5]) end\n"
    "n = step('H', '')\n"
    "for _, field in ipairs(redis.call('HKEYS', hash)) do\n"
    "  if parts(field) then redis.call('HSET', hash, field, n) end\n"
    "end\n"
    "scopes(function(scope) redis.call('HSET', hash, scope, n) end)\n"
    "if deletes == '1' or redis.call('HGET', hash, 'deleted') then\n"
    "  redis.call('HSET', hash, 'floor', n, 'deleted', n)\n"
    "end\n"
    "return tonumber(n)\n"};

const struct fleet_script fleet_script_manifest = {
    "manifest", LUA_IS_OURS LUA_STEP
    "local manifests = string.gsub(hash, 'clears$', 'manifests')\n"
    "if redis.call('HSETNX', manifests, ARGV[5], ARGV[6]) == 1 then return 0 end\n"
    "if redis.call('HGET', manifests, ARGV[5]) == ARGV[6] then return 0 end\n"
    "return tonumber(step('M', ARGV[4]))\n"};
