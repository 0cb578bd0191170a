// Package email sends alerts by SMTP (RFC 5321) as a plain-text message (RFC
// 5322). The connection is encrypted: from the start on smtps://, by STARTTLS
// on smtp://, and a server that offers none is refused unless the setting
// plain is "yes". Revisions of one alert form a thread.
package email

import (
	"bytes"
	"context"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/url"
	"strings"
	"time"

	"github.com/tenantwatch/tenantwatch/core/delivery/dest"
	"github.com/tenantwatch/tenantwatch/core/egress"
)

const usual = "{title}\n\n{reason}\n\nTenant      {tenant}\nSeverity    {severity}\nScore       {score}\n{entity_type}: {entity}\nTechniques  {techniques}\nFirst seen  {first_seen}\nLast seen   {last_seen}\nEvents      {count}\nState       {state}\n\n{counterfactual}\n"

// Send implements dest.Sender. The address is smtp://host:port (587) or
// smtps://host:port (465); the token is the password of the setting user;
// settings are from, to (addresses joined by commas), template.
func Send(ctx context.Context, out *egress.Egress, t dest.Target, m dest.Message) (dest.Result, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return dest.Failed("url: it is no address"), nil
	}
	from, err1 := mail.ParseAddress(t.Settings["from"])
	to, err2 := mail.ParseAddressList(t.Settings["to"])
	if err1 != nil || err2 != nil {
		return dest.Failed("settings: from and to have to be mail addresses"), nil
	}
	text, err := Text(t, m, from, to)
	if err != nil {
		return dest.Failed("%s", err), nil
	}
	start := time.Now()
	err = deliver(ctx, out, t, u, from, to, text)
	if ctx.Err() != nil {
		return dest.Result{}, ctx.Err()
	}
	r := dest.Result{Answer: egress.Answer{Latency: time.Since(start)}, Request: string(text)}
	if err != nil {
		r.Err = egress.Reason(err)
	}
	return r, nil
}

func deliver(ctx context.Context, out *egress.Egress, t dest.Target, u *url.URL, from *mail.Address, to []*mail.Address, text []byte) (err error) {
	port, dial := "587", out.DialContext
	if u.Scheme == "smtps" {
		port, dial = "465", out.DialTLS
	}
	if u.Port() != "" {
		port = u.Port()
	}
	dctx, cancel := context.WithTimeout(ctx, out.Timeout())
	defer cancel()
	conn, err := dial(dctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := conn.SetDeadline(time.Now().Add(out.Timeout())); err != nil {
		return err
	}
	c, err := smtp.NewClient(conn, u.Hostname())
	if err != nil {
		return err
	}
	if err := c.Hello("tenantwatch"); err != nil {
		return err
	}
	if u.Scheme == "smtp" {
		if ok, _ := c.Extension("STARTTLS"); ok {
			if err := c.StartTLS(out.TLS(u.Hostname())); err != nil {
				return err
			}
		} else if t.Settings["plain"] != "yes" {
			return fmt.Errorf("the server offers no encryption")
		}
	}
	if user := t.Settings["user"]; user != "" {
		if err := c.Auth(smtp.PlainAuth("", user, t.Token, u.Hostname())); err != nil {
			return err
		}
	}
	if err := c.Mail(from.Address); err != nil {
		return err
	}
	for _, a := range to {
		if err := c.Rcpt(a.Address); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil { // the server has taken it
		return err
	}
	_ = c.Quit()
	return nil
}

// Text is the message. Headers are encoded words, so that a line's end in a
// title is no new header.
func Text(t dest.Target, m dest.Message, from *mail.Address, to []*mail.Address) ([]byte, error) {
	a := &m.Alert
	list := make([]string, len(to))
	for i, x := range to {
		list[i] = x.String()
	}
	subject := strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, fmt.Sprintf("[%s] %s: %s", a.Severity, a.Tenant, a.Title))
	var b bytes.Buffer
	for _, h := range [][2]string{{"From", from.String()}, {"To", strings.Join(list, ", ")}, {"Subject", mime.QEncoding.Encode("utf-8", subject)},
		{"Date", m.At.UTC().Format(time.RFC1123Z)}, {"Message-ID", "<" + m.ID + "@tenantwatch>"}, {"References", "<" + a.ID + "@tenantwatch>"},
		{"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"}} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	text := dest.Text(t.Setting("template", usual), a)
	if link := t.Link(a); link != "" {
		text += "\n" + link + "\n"
	}
	w := quotedprintable.NewWriter(&b)
	if _, err := w.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))); err != nil {
		return nil, err
	}
	return b.Bytes(), w.Close()
}
