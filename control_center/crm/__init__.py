"""All AMQP stands here: the CRM's events come in by the inbox, our commands and reports leave by the outbox."""
