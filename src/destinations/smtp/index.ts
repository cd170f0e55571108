import { defineDestination } from "../../contracts/destination.ts";
import { MODES, SmtpDestination } from "./destination.ts";
import { options, settings } from "./settings.ts";

export default defineDestination({
  type: "smtp",
  title: "SMTP",
  settings,
  sync: options,
  create: (checked, context) => new SmtpDestination(checked, context),
  guide: {
    summary: "Mails through any mail server: one for each row, of text, HTML or both.",
    credentials: `1. Ask your mail provider for its SMTP server, port, user name and password; most want an *app password* or an SMTP credential made for
   this purpose (Amazon SES: SMTP settings → Create SMTP credentials; Google Workspace: an app password, or the SMTP relay).
2. Put the password where \`\${SMTP_PASSWORD}\` is read from.
3. The domain of \`from\` should allow that server to send for it (SPF, DKIM), or mails end up as spam.
4. \`npm install nodemailer@10.6.1\`, where optional dependencies were left out.`,
    example: `destinations:
  mail:
    type: smtp
    host: smtp.example.com
    user: tailrace
    password: \${SMTP_PASSWORD}
    rate: 10/s                      # by your provider's limit
syncs:
  welcome:
    model: users
    destination: mail
    mode: event
    on: [insert]
    backfill: false                 # not to those who are there already
    map:
      email: email
      name: full_name
      subject: { template: "Welcome, {{ full_name }}" }
      text: { template: "Hello {{ full_name }}, your plan is {{ plan }}." }
      html: { template: "<p>Hello {{ full_name | escape }}, your plan is <b>{{ plan | escape }}</b>.</p>" }
    options:
      from: { email: hello@example.com, name: Example }`,
    objects: [
      {
        name: "mails",
        match: "nothing: every row is a mail of its own",
        modes: MODES,
        deletes: [],
        batch: "a mail a row, four at a time",
      },
    ],
    limits: `The server's own: its size of a mail is asked for, and a larger one is a failure before it is sent. Four connections, each kept for up to 100 mails.
Set \`rate\` to what your provider allows.`,
    notes: `- **A mail cannot be taken back.** Set \`backfill: false\` unless the rows that exist are to get mails.
- Fields: \`email\`, \`name\`, \`subject\`, and \`text\`, \`html\` or both. A value in \`html\` is HTML: write \`| escape\` behind it.
- Delivered means that the server has taken the mail (250). What becomes of it then, it tells the sender's address by mail.
- By the server's answer: 4xx to a recipient is tried again after a minute (greylisting), 5xx to a recipient or a mail is a failure of the row, 5xx to the
  sender stops the sync, 421 slows it down, a refused password waits for another.
- The \`Message-ID\` is made of the delivery's id: a mail whose answer was lost is sent again with the same one, by which most mailboxes show it once.
- Connections are encrypted and certificates verified; \`security: none\` is for a server on the same machine.
- Not covered: attachments, several recipients, OAuth 2, DKIM signatures of our own (the server's are used).`,
  },
});
