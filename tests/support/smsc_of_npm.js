// A message centre by the npm package `smpp`: it takes every text, tells of each on a line of JSON, and then says in a
// receipt that it arrived. Its first line is the port it listens on.
const smpp = require('smpp');

let ids = 0;
const server = smpp.createServer((session) => {
  session.on('error', () => session.close());
  session.on('bind_transceiver', (pdu) => session.send(pdu.response()));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => { session.send(pdu.response()); session.close(); });
  session.on('submit_sm', (pdu) => {
    const id = `npm-${++ids}`;
    const words = pdu.short_message;
    console.log(JSON.stringify({
      to: pdu.destination_addr, source: pdu.source_addr, coding: pdu.data_coding, text: words.message,
      udh: words.udh ? Buffer.concat(words.udh.map(Buffer.from)).toString('hex') : '',
    }));
    session.send(pdu.response({ message_id: id }));
    session.deliver_sm({
      source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2611231200 done date:2611231201 stat:DELIVRD err:000 text:`,
      receipted_message_id: id, message_state: 2,
    });
    if (words.message === 'Bye') session.deliver_sm({
      source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, short_message: 'STOP, ¡sí! 😀', data_coding: 8,
    });
  });
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
