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

// Week is a seasonal shape over the hours of the week, learnt from how much
// was going on in each hour that passed. Shape is about 1 on average over the
// week. Each hour borrows from its neighbours, so that daylight saving and
// flexible hours blur it rather than break it; an hour of the week that has
// not come by yet is an average one.
type Week struct {
	Hours  [WeekHours]float64 // decayed activity
	Passed [WeekHours]float64 // decayed number of times the hour came by
	Total  float64            // sum of Hours
	Spent  float64            // sum of Passed
}

// Decay multiplies all that is remembered by f in [0,1].
func (w *Week) Decay(f float64) {
	w.Total *= f
	w.Spent *= f
	for i := range w.Hours {
		w.Hours[i] *= f
		w.Passed[i] *= f
	}
}

// Learn adds activity in an hour of the week.
func (w *Week) Learn(how int, weight float64) {
	w.Hours[how] += weight
	w.Total += weight
}

// Pass notes that an hour of the week has begun.
func (w *Week) Pass(how int) {
	w.Passed[how]++
	w.Spent++
}

// Shape is the factor of an hour of the week, shrunk to 1 by the weight of
// one passing.
func (w *Week) Shape(how int) float64 {
	if w.Total == 0 || w.Spent == 0 {
		return 1
	}
	mean := w.Total / w.Spent
	before, after := (how+WeekHours-1)%WeekHours, (how+1)%WeekHours
	seen := float64(0.5*w.Hours[how]) + float64(0.25*w.Hours[before]) + float64(0.25*w.Hours[after])
	passed := float64(0.5*w.Passed[how]) + float64(0.25*w.Passed[before]) + float64(0.25*w.Passed[after])
	return max(0.01, (seen+mean)/(passed+1)/mean)
}

// Day is the shape of one entity: 24 hours of a working day and 24 of a
// weekend day, small enough to keep for everybody, shrunk to a Week.
type Day struct {
	Slots [48]float64
	Lived [2]float64 // decayed number of working and weekend days lived through
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
	d.Lived[0] *= f
	d.Lived[1] *= f
	for i := range d.Slots {
		d.Slots[i] *= f
	}
}

// Learn adds weight at an hour of the week.
func (d *Day) Learn(how int, weight float64) {
	d.Slots[DaySlot(how)] += weight
	d.Total += weight
}

// Pass notes that an hour of the week went by.
func (d *Day) Pass(how int) { d.Lived[DaySlot(how)/24] += 1.0 / 24 }

// Shape is the factor of an hour of the week, shrunk to the week's factor
// there by the weight of prior days.
func (d *Day) Shape(how int, prior, week float64) float64 {
	lived := d.Lived[0] + d.Lived[1]
	if d.Total == 0 || lived == 0 {
		return week
	}
	mean := d.Total / float64(24*lived)
	slot := DaySlot(how)
	base := slot - slot%24
	before, after := base+(slot-base+23)%24, base+(slot-base+1)%24
	seen := float64(0.5*d.Slots[slot]) + float64(0.25*d.Slots[before]) + float64(0.25*d.Slots[after])
	days := d.Lived[slot/24]
	return max(0.01, (seen/mean+float64(prior*week))/(days+prior))
}
