-- A guestbook in Lua, loaded into an aos Process. Global variables are the state.
--
--   npx aonet module publish --aos
--   npx aonet spawn --name guestbook
--   npx aonet eval PROCESS @src/modules/examples/guestbook/guestbook.lua
--   npx aonet send PROCESS --action Sign --data 'Hello!'
--   npx aonet dry-run PROCESS --action Read
--
-- Loading it again keeps what is in the book.

Entries = Entries or {}

Handlers.add('sign', Handlers.utils.hasMatchingTag('Action', 'Sign'), function (msg)
  if #msg.Data > 200 then
    Send({ Target = msg.From, Action = 'Refused', Data = 'at most 200 characters' })
    return
  end
  table.insert(Entries, { from = msg.From, at = msg.Timestamp, text = msg.Data })
  Send({ Target = msg.From, Action = 'Signed', Number = tostring(#Entries) })
end)

Handlers.add('read', Handlers.utils.hasMatchingTag('Action', 'Read'), function (msg)
  local lines = {}
  for number, entry in ipairs(Entries) do
    lines[#lines + 1] = number .. '. ' .. entry.text
  end
  Send({ Target = msg.From, Action = 'Book', Data = table.concat(lines, '\n') })
  print(table.concat(lines, '\n'))
end)

return 'a book of ' .. #Entries .. ' entries'
