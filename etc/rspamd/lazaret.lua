-- Lazaret's lists of senders for rspamd 3. Install this file and lazaret.conf in /etc/rspamd, and let rspamd know of both:
--   echo 'dofile(rspamd_paths["LOCAL_CONFDIR"] .. "/lazaret.lua")' >> /etc/rspamd/rspamd.local.lua
--   echo '.include "$LOCAL_CONFDIR/lazaret.conf"' >> /etc/rspamd/rspamd.conf.local
-- The maps are read again when they change; rspamd looks once in half a minute (map_watch_interval).
--
-- A rule in Lua and not entries of the multimap module, for three reasons: a message to several recipients is allowed only
-- if all of them allow it; SPF or DKIM must be aligned with From also where a domain publishes no DMARC record, for which
-- rspamd has no symbol; and a list that blocks must count more than one that allows.

local rspamd_util = require "rspamd_util"
local lua_util = require "lua_util"

local settings = lua_util.override_defaults({
  directory = '/var/lib/lazaret-lists',
  allow_score = -30.0,
  block_score = 30.0,
}, rspamd_config:get_all_opt('lazaret') or {})

local function map(name, description)
  return rspamd_config:add_map {
    type = 'map',
    url = settings.directory .. '/' .. name,
    description = description,
  }
end

local senders = map('rspamd-senders.map', 'Lazaret: senders that are allowed and blocked')
local recipients = map('rspamd-recipients.map', 'Lazaret: whose mail an address is')

-- The login of the recipient in whose list to look, and that of his domain.
local function whose(address)
  local localpart, domain = address:lower():match('^(.*)@([^@]*)$')
  if not localpart then return nil end
  local own = recipients:get_key('@' .. domain)
  if not own then return nil end
  local name, delimiter = own:match('^(%S+)%s*(%S*)$')
  local full = localpart .. '@' .. name
  local tree = recipients:get_key(full)
  if not tree then
    local at = delimiter ~= '' and localpart:find(delimiter, 2, true)
    full = at and localpart:sub(1, at - 1) .. '@' .. name or full
    tree = recipients:get_key(full) or full
  end
  return tree, tree:match('@([^@]*)$')
end

-- What the list of a login says: the narrowest entry that counts.
local function says(login, from, is_proved)
  local function at(pattern)
    local said = senders:get_key(pattern .. '>' .. login)
    if said == 'block' or (said == 'allow' and is_proved) then return said end
  end
  local said = at(from.addr)
  local domain = from.domain
  while not said and domain do
    said = at(domain)
    domain = domain:match('^[^.]*%.(.+)$')
  end
  return said
end

-- What the three lists of a recipient say together.
local function decide(recipient, from, is_proved)
  local allowed
  for _, login in ipairs({ recipient.tree, recipient.domain, 'global' }) do
    local said = says(login, from, is_proved)
    if said == 'block' then return 'block' end
    allowed = allowed or said
  end
  return allowed
end

-- Whether SPF or DKIM passed for the organisation whose domain From has (RFC 7489 3.1, relaxed); nil, or what proves it.
local function proof(task, from)
  local function is_aligned(domain)
    return domain and domain ~= ''
        and rspamd_util.strequal_caseless(rspamd_util.get_tld(domain), rspamd_util.get_tld(from.domain))
  end
  local trace = (task:get_symbol('DKIM_TRACE') or {})[1]
  for _, option in ipairs(trace and trace.options or {}) do
    local domain, result = option:match('^(.*):(.)$')
    if result == '+' and is_aligned(domain) then return 'dkim ' .. domain end
  end
  if task:has_symbol('R_SPF_ALLOW') then
    local sender = (task:get_from('smtp') or {})[1]
    local domain = sender and sender.domain
    if not domain or domain == '' then domain = task:get_helo() end
    if is_aligned(domain) then return 'spf ' .. domain end
  end
end

local function check(task)
  local froms, rcpts = task:get_from('mime') or {}, task:get_recipients('smtp') or {}
  if #froms == 0 or #rcpts == 0 then return end
  local authors = {}
  for _, from in ipairs(froms) do
    table.insert(authors, { addr = (from.addr or ''):lower(), domain = (from.domain or ''):lower() })
  end
  -- A message of several authors is of nobody in particular.
  local proved = #authors == 1 and authors[1].domain ~= '' and proof(task, authors[1]) or nil
  local blocked, allowed = 0, 0
  for _, rcpt in ipairs(rcpts) do
    local tree, domain = whose(rcpt.addr)
    -- Of mail to others only the global list speaks.
    local recipient = { tree = tree or 'global', domain = domain or 'global' }
    local said
    for _, author in ipairs(authors) do
      said = said == 'block' and said or decide(recipient, author, proved ~= nil)
    end
    if said == 'block' then blocked = blocked + 1 elseif said then allowed = allowed + 1 end
  end
  -- One verdict is for all recipients: where they do not agree, the rest of the filter decides.
  if blocked == #rcpts then
    task:insert_result('LAZARET_BLOCKED', 1.0)
  elseif allowed == #rcpts then
    task:insert_result('LAZARET_ALLOWED', 1.0, proved)
  end
end

local id = rspamd_config:register_symbol {
  name = 'LAZARET_LISTS',
  type = 'callback',
  group = 'lazaret',
  callback = check,
}
for name, about in pairs({
  LAZARET_ALLOWED = { settings.allow_score, 'All recipients allow this sender, who is proved' },
  LAZARET_BLOCKED = { settings.block_score, 'All recipients block this sender' },
}) do
  rspamd_config:register_symbol { name = name, type = 'virtual', parent = id }
  rspamd_config:set_metric_symbol { name = name, score = about[1], description = about[2], group = 'lazaret' }
end
for _, symbol in ipairs({ 'DKIM_CHECK', 'SPF_CHECK' }) do
  rspamd_config:register_dependency('LAZARET_LISTS', symbol)
end
