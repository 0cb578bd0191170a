package baseline

// WeekHours is the length of a week in hours.
const WeekHours = 168

// HourOfWeek is the hour of the week, 0 to 167 from Monday 00:00 UTC, of an
// hour counted from the Unix epoch (a Thursday).
func HourOfWeek(hour int64) int {
	h := (hour + 72) % WeekHours
	if h < 0 {
		h += WeekHours
	}
	return int(h)
}

// Week is a seasonal shape over the hours of the week, learnt from how many
// entities were at work in each. Shape is 1 on average over the week. Each
// hour borrows from its neighbours, so that daylight saving and flexible
// hours blur it rather than break it.
type Week struct {
	Hours [WeekHours]float64
	Total float64
}

// Decay multiplies all that is remembered by f in [0,1].
func (w *Week) Decay(f float64) {
	w.Total *= f
	for i := range w.Hours {
		w.Hours[i] *= f
	}
}

// Learn adds weight at an hour of the week.
func (w *Week) Learn(how int, weight float64) {
	w.Hours[how] += weight
	w.Total += weight
}

// Shape is the factor of an hour of the week: the share seen, shrunk to a flat
// week by the weight of two observations an hour.
func (w *Week) Shape(how int) float64 {
	const prior = 2 * WeekHours
	before, after := (how+WeekHours-1)%WeekHours, (how+1)%WeekHours
	seen := float64(0.5*w.Hours[how]) + float64(0.25*w.Hours[before]) + float64(0.25*w.Hours[after])
	return (float64(seen*WeekHours) + prior) / (w.Total + prior)
}

// Day is the shape of one entity: 24 hours of a working day and 24 of a
// weekend day, small enough to keep for everybody, shrunk to a Week.
type Day struct {
	Slots [48]float64
	Total float64
}

// DaySlot is the slot of an hour of the week: 0-23 Monday to Friday, 24-47 at
// the weekend.
func DaySlot(how int) int {
	if how >= 120 {
		return 24 + how%24
	}
	return how % 24
}

// Decay multiplies all that is remembered by f in [0,1].
func (d *Day) Decay(f float64) {
	d.Total *= f
	for i := range d.Slots {
		d.Slots[i] *= f
	}
}

// Learn adds weight at an hour of the week.
func (d *Day) Learn(how int, weight float64) {
	d.Slots[DaySlot(how)] += weight
	d.Total += weight
}

// Shape is the factor of an hour of the week, shrunk to the week's factor
// there by the weight of prior observations. Its mean over the week is 1 when
// the prior's is.
func (d *Day) Shape(how int, prior float64, week float64) float64 {
	slot := DaySlot(how)
	base := slot - slot%24
	days := 5.0
	if base == 24 {
		days = 2
	}
	before, after := base+(slot-base+23)%24, base+(slot-base+1)%24
	seen := float64(0.5*d.Slots[slot]) + float64(0.25*d.Slots[before]) + float64(0.25*d.Slots[after])
	return (float64(seen/days*WeekHours) + float64(prior*week)) / (d.Total + prior)
}
