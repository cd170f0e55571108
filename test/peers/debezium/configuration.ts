// Debezium Server's `application.properties`. What is not named has its default.

export interface DebeziumOptions {
  readonly databaseUrl: string;
  readonly table: string;
  readonly receiverUrl: string;
  /** Also the publication's. */
  readonly slot: string;
  /** Rows a request; null: one row a request, as without the sink's batch mode. */
  readonly batchRows: number | null;
  /** Default 0, as the distribution's example has it: offsets are written after each batch. */
  readonly offsetFlushMs?: number | undefined;
  /** How long it waits for further changes before it sends those it has. Default: the connector's, 500. */
  readonly pollMs?: number | undefined;
  /** Of one request. Default: the sink's, 60 s. */
  readonly timeoutMs?: number | undefined;
}

export function configuration(options: DebeziumOptions): string {
  const { hostname, port, username, password, pathname } = new URL(options.databaseUrl);
  const settings: Record<string, string | number> = {
    "debezium.sink.type": "http",
    "debezium.sink.http.url": options.receiverUrl,
    ...(options.batchRows === null
      ? {}
      : { "debezium.sink.http.batch.enabled": "true", "debezium.sink.http.batch.max-size": options.batchRows }),
    ...(options.timeoutMs === undefined ? {} : { "debezium.sink.http.timeout.ms": options.timeoutMs }),
    "debezium.source.connector.class": "io.debezium.connector.postgresql.PostgresConnector",
    "debezium.source.offset.storage.file.filename": "data/offsets.dat",
    "debezium.source.offset.flush.interval.ms": options.offsetFlushMs ?? 0,
    ...(options.pollMs === undefined ? {} : { "debezium.source.poll.interval.ms": options.pollMs }),
    "debezium.source.database.hostname": hostname,
    "debezium.source.database.port": port,
    "debezium.source.database.user": decodeURIComponent(username),
    "debezium.source.database.password": decodeURIComponent(password),
    "debezium.source.database.dbname": pathname.slice(1),
    "debezium.source.topic.prefix": "peer",
    "debezium.source.plugin.name": "pgoutput",
    "debezium.source.slot.name": options.slot,
    "debezium.source.publication.name": options.slot,
    "debezium.source.publication.autocreate.mode": "filtered",
    "debezium.source.table.include.list": options.table,
    // Tombstones are for compacted topics; the sink does not send them, the delete itself it does.
    "debezium.source.tombstones.on.delete": "false",
    // Numerics as texts: the default is their bytes in base64.
    "debezium.source.decimal.handling.mode": "string",
    "debezium.format.key": "json",
    "debezium.format.key.schemas.enable": "false",
    "debezium.format.value": "json",
    "debezium.format.value.schemas.enable": "false",
    // Any free port for its health page.
    "quarkus.http.port": 0,
    "quarkus.log.console.json": "false",
  };
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}
