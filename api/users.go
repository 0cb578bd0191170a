package api

import (
	"context"
	"slices"
	"time"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/core/access"
	"github.com/tenantwatch/tenantwatch/core/tenant"
)

// UserInfo is somebody who can sign in.
type UserInfo struct {
	ID                                   string
	Tenant                               tenant.ID // zero for the operator's people
	Email, Name                          string
	Role                                 access.Role
	Tenants                              []tenant.ID // an operator's grants
	Disabled, SecondFactor, MustChange   bool
	Provider                             string // issuer; empty for a password
	LockedUntil, LastSignInAt, CreatedAt time.Time
}

// NewUser describes somebody to add.
type NewUser struct {
	Email, Name, Password string // without a password one is made
	Role                  access.Role
	Tenants               []tenant.ID
}

// UserChange sets what is not nil.
type UserChange struct {
	Name     *string
	Role     *access.Role
	Disabled *bool
	Tenants  *[]tenant.ID
}

// Users are the people of one tenant, or of the operator when the id is zero.
// Lists are whole: there are few.
type Users interface {
	List(ctx context.Context, id tenant.ID) ([]UserInfo, error)
	Create(ctx context.Context, by access.Actor, id tenant.ID, n NewUser) (u UserInfo, once string, err error)
	Update(ctx context.Context, by access.Actor, id tenant.ID, userID string, ch UserChange) (UserInfo, error)
	Reset(ctx context.Context, by access.Actor, id tenant.ID, userID string, factor bool) (u UserInfo, once string, err error)
	Delete(ctx context.Context, by access.Actor, id tenant.ID, userID string) error
}

func userView(u UserInfo) rest.User {
	v := rest.User{Id: u.ID, Email: u.Email, Name: u.Name, Role: rest.Role(u.Role), Disabled: u.Disabled, SecondFactor: u.SecondFactor,
		MustChangePassword: u.MustChange, TenantId: orNil(u.Tenant.String()), Provider: orNil(u.Provider), LockedUntil: ptr(u.LockedUntil), LastSignInAt: ptr(u.LastSignInAt),
		CreatedAt: u.CreatedAt.UTC(), Tenants: []string{}}
	for _, id := range u.Tenants {
		v.Tenants = append(v.Tenants, id.String())
	}
	return v
}

// whose says whose people an operation is about: a tenant's, or the operator's
// own, which takes the right to run the platform.
func (k *call) whose() (tenant.ID, error) {
	if k.one.IsZero() && !k.principal.Can(access.PlatformManage) {
		return tenant.ID{}, newProblem(kindForbidden, "The role %s does not hold %s.", k.principal.Role, access.PlatformManage)
	}
	return k.one, nil
}

// mayGive refuses to make, change or hand over a credential that may do more
// than the one that asks: a token narrowed to managing keys cannot make itself
// a wider one. Pushing events is a tenant's own to give.
func (k *call) mayGive(role access.Role, scopes []access.Permission) error {
	for _, p := range role.Permissions() {
		if p == access.EventsPush || len(scopes) > 0 && !slices.Contains(scopes, p) {
			continue
		}
		if !k.principal.Can(p) {
			return newProblem(kindForbidden, "Your credential does not hold %s, so it cannot give it.", p)
		}
	}
	return nil
}

// mayTouch is mayGive for somebody who is there already.
func (h *handlers) mayTouch(ctx context.Context, k *call, id tenant.ID, userID string) error {
	all, err := h.s.opts.Users.List(ctx, id)
	if err != nil {
		return err
	}
	for _, u := range all {
		if u.ID == userID {
			return k.mayGive(u.Role, nil)
		}
	}
	return notFound()
}

// ListUsers pages through people, by address.
func (h *handlers) ListUsers(ctx context.Context, r rest.ListUsersRequestObject) (rest.ListUsersResponseObject, error) {
	ctx, k := callOf(ctx)
	after, err := open[offset](h.s, k, r.Params.After)
	if err != nil {
		return nil, err
	}
	id, err := k.whose()
	if err != nil {
		return nil, err
	}
	all, err := h.s.opts.Users.List(ctx, id)
	if err != nil {
		return nil, err
	}
	key := func(u UserInfo) string { return u.Email + "\x00" + u.ID }
	slices.SortFunc(all, func(a, b UserInfo) int {
		if key(a) < key(b) {
			return -1
		}
		return 1
	})
	page, last := cut(all, key, after, pageSize(r.Params.Limit))
	out := rest.ListUsers200JSONResponse{Items: []rest.User{}, Next: next(h.s, k, last)}
	for _, u := range page {
		out.Items = append(out.Items, userView(u))
	}
	return out, nil
}

func (k *call) granted(slugs []string) ([]tenant.ID, error) {
	out := make([]tenant.ID, 0, len(slugs))
	for _, s := range slugs {
		id, err := tenant.Parse(s)
		if err != nil || !k.principal.Sees(id) {
			return nil, badField("tenants", "there is no tenant %q", s)
		}
		out = append(out, id)
	}
	return out, nil
}

// CreateUser adds somebody.
func (h *handlers) CreateUser(ctx context.Context, r rest.CreateUserRequestObject) (rest.CreateUserResponseObject, error) {
	ctx, k := callOf(ctx)
	id, err := k.whose()
	if err != nil {
		return nil, err
	}
	n := NewUser{Email: r.Body.Email, Role: access.Role(r.Body.Role)}
	if r.Body.Name != nil {
		n.Name = *r.Body.Name
	}
	if r.Body.Password != nil {
		n.Password = *r.Body.Password
	}
	if r.Body.Tenants != nil {
		if !id.IsZero() {
			return nil, badField("tenants", "grants are of the operator's people: a member sees its own tenant")
		}
		if n.Tenants, err = k.granted(*r.Body.Tenants); err != nil {
			return nil, err
		}
	}
	if err := k.mayGive(n.Role, nil); err != nil {
		return nil, err
	}
	u, once, err := h.s.opts.Users.Create(ctx, k.principal.Actor(), id, n)
	if err != nil {
		return nil, err
	}
	return rest.CreateUser201JSONResponse{User: userView(u), OncePassword: orNil(once)}, nil
}

// UpdateUser changes somebody.
func (h *handlers) UpdateUser(ctx context.Context, r rest.UpdateUserRequestObject) (rest.UpdateUserResponseObject, error) {
	ctx, k := callOf(ctx)
	id, err := k.whose()
	if err != nil {
		return nil, err
	}
	if err := h.mayTouch(ctx, k, id, r.Id); err != nil {
		return nil, err
	}
	ch := UserChange{Name: r.Body.Name, Disabled: r.Body.Disabled}
	if r.Body.Role != nil {
		role := access.Role(*r.Body.Role)
		if err := k.mayGive(role, nil); err != nil {
			return nil, err
		}
		ch.Role = &role
	}
	if r.Body.Tenants != nil {
		ids, err := k.granted(*r.Body.Tenants)
		if err != nil {
			return nil, err
		}
		ch.Tenants = &ids
	}
	u, err := h.s.opts.Users.Update(ctx, k.principal.Actor(), id, r.Id, ch)
	if err != nil {
		return nil, err
	}
	return rest.UpdateUser200JSONResponse(userView(u)), nil
}

// DeleteUser removes somebody.
func (h *handlers) DeleteUser(ctx context.Context, r rest.DeleteUserRequestObject) (rest.DeleteUserResponseObject, error) {
	ctx, k := callOf(ctx)
	id, err := k.whose()
	if err != nil {
		return nil, err
	}
	if err := h.mayTouch(ctx, k, id, r.Id); err != nil {
		return nil, err
	}
	if err := h.s.opts.Users.Delete(ctx, k.principal.Actor(), id, r.Id); err != nil {
		return nil, err
	}
	return rest.DeleteUser204Response{}, nil
}

// ResetUser gives somebody a one-time password.
func (h *handlers) ResetUser(ctx context.Context, r rest.ResetUserRequestObject) (rest.ResetUserResponseObject, error) {
	ctx, k := callOf(ctx)
	id, err := k.whose()
	if err != nil {
		return nil, err
	}
	if err := h.mayTouch(ctx, k, id, r.Id); err != nil {
		return nil, err
	}
	factor := r.Body != nil && r.Body.SecondFactor != nil && *r.Body.SecondFactor
	u, once, err := h.s.opts.Users.Reset(ctx, k.principal.Actor(), id, r.Id, factor)
	if err != nil {
		return nil, err
	}
	return rest.ResetUser200JSONResponse{User: userView(u), OncePassword: &once}, nil
}
